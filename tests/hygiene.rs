//! A boundary can be declared in anybody's module: whatever has another meaning there,
//! under a common name, makes no difference. Each module here compiles, and its contract
//! is what it says.

use integration_automation_patterns::sync::{Capability, System};

pub(crate) enum Crm {}
pub(crate) enum Erp {}
pub(crate) struct Key(());

impl System for Crm {
    const NAME: &'static str = "crm";
    type Key = Key;
}

impl System for Erp {
    const NAME: &'static str = "erp";
    type Key = Key;
}

fn crm() -> Capability<Crm> {
    Capability::mint(&Key(()))
}

/// Types and functions under the names of a prelude's.
#[expect(dead_code, unused_imports, reason = "they are in scope: that is the test")]
mod shadowed {
    use super::{Crm, Erp};
    use integration_automation_patterns::boundary;

    pub(super) struct Result;
    pub(super) struct Vec;
    pub(super) struct Box;
    pub(super) struct PhantomData;
    pub(super) struct Send;
    pub(super) struct Sync;
    pub(super) struct Sized;
    pub(super) struct Into;
    pub(super) struct Iterator;
    pub(super) mod core {}
    pub(super) mod std {}
    pub(super) mod alloc {}

    #[derive(Debug, Clone, PartialEq, Eq)]
    pub(super) enum Priority {
        None,
        Some,
        Err,
    }
    pub(super) use Priority::{Err, None, Some};

    #[expect(non_snake_case, reason = "as `anyhow::Ok` is called")]
    pub(super) fn Ok() {}

    boundary! {
        pub mod case between Crm and Erp {
            priority: Priority => Crm,
            title: u8 => Shared,
            status: u8 => Manual,
            excluded notes: u8,
        }
    }
}

/// Macros under the names of the standard library's.
#[expect(unused_macros, reason = "they are in scope, and that is the test")]
mod macros {
    use super::{Crm, Erp};

    macro_rules! assert {
        ($($any:tt)*) => {
            compile_error!("another macro")
        };
    }
    macro_rules! stringify {
        ($($any:tt)*) => {
            compile_error!("another macro")
        };
    }
    macro_rules! concat {
        ($($any:tt)*) => {
            compile_error!("another macro")
        };
    }

    integration_automation_patterns::boundary! {
        pub mod case between Crm and Erp {
            title: u8 => Crm,
        }
    }
}

/// No prelude at all.
#[no_implicit_prelude]
mod bare {
    use super::{Crm, Erp};

    ::integration_automation_patterns::boundary! {
        pub mod case between Crm and Erp {
            title: u8 => Crm,
            owner: u8 => Erp (others Queue),
            note: u8 => Shared,
            status: u8 => Manual,
            excluded secret: u8,
        }
    }
}

/// Fields under the names of what is made of them, of primitive types, and of keywords.
mod fields {
    use super::{Crm, Erp};

    integration_automation_patterns::boundary! {
        pub mod case between Crm and Erp {
            __system: u8 => Crm,
            __decision: u8 => Shared,
            str: u8 => Crm,
            u8: u8 => Crm,
            usize: u8 => Manual,
            String: String => Shared,
            Option: u8 => Shared,
            field: u8 => Crm,
            each: u8 => Crm,
            each_mut: u8 => Shared,
            by: u8 => Crm,
            edit: u8 => Crm,
            next: u8 => Crm,
            apply: u8 => Crm,
            changes: u8 => Crm,
            rules: u8 => Shared,
            verdicts: u8 => Manual,
            NAME: u8 => Crm,
            r#type: u8 => Crm,
            excluded r#loop: u8,
        }
    }
}

/// Types by paths from where the boundary is declared, and a module of the name of one
/// that is made.
mod paths {
    use super::{Crm, Erp};

    #[derive(Debug, Clone, PartialEq, Eq)]
    pub(super) struct Status(u8);

    pub(super) mod deep {
        use super::{Crm, Erp};

        pub(crate) mod field {
            #[derive(Debug, Clone, PartialEq, Eq)]
            pub(crate) struct Money(u64);
        }

        integration_automation_patterns::boundary! {
            pub mod case between Crm and Erp {
                status: super::Status => Crm,
                amount: field::Money => Erp,
                other: crate::paths::Status => Shared,
                excluded old: super::Status,
            }
        }
    }
}

/// Protects the declaration: no field is lost or called otherwise in any of the modules.
#[test]
fn what_is_declared_is_what_is_there() {
    let fields = |contract: integration_automation_patterns::sync::Contract| {
        let (synced, excluded) = (contract.synced_fields(), contract.excluded_fields());
        synced.chain(excluded).map(str::to_owned).collect::<Vec<_>>()
    };
    let shadowed = fields(shadowed::case::contract().expect("sound"));
    assert_eq!(shadowed, ["priority", "title", "status", "notes"]);
    assert_eq!(fields(macros::case::contract().expect("sound")), ["title"]);
    let bare = fields(bare::case::contract().expect("sound"));
    assert_eq!(bare, ["title", "owner", "note", "status", "secret"]);
    let named = fields(fields::case::contract().expect("sound"));
    assert_eq!(
        (named.len(), &*named[0], &*named[18], &*named[19]),
        (20, "__system", "type", "loop")
    );
    let deep = fields(paths::deep::case::contract().expect("sound"));
    assert_eq!(deep, ["status", "amount", "other", "old"]);
}

#[test]
fn a_field_is_set_and_planned_under_any_name() {
    let mut of_crm = fields::case::Snapshot::by(&crm());
    of_crm
        .edit(fields::case::edit(&crm()).__system(1).edit(2).by(3).r#type(4).next(None));
    let of_erp = fields::case::Snapshot::by(&Capability::<Erp>::mint(&Key(())));
    let never = fields::case::Bases::default();
    let plan = fields::case::reconcile(&of_crm, &of_erp, &never);
    use integration_automation_patterns::sync::Verdict::{Agreed, Unread};
    assert_eq!(
        [plan.__system.verdict(), plan.edit.verdict(), plan.r#type.verdict()],
        [Agreed(0); 3]
    );
    assert_eq!(plan.apply.verdict(), Unread);
}
