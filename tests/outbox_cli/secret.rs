//! A password in the address of a database, whatever slip is made beside it: no output has
//! it, nor a piece of it.

use proptest::prelude::*;
use proptest::sample::select;

use crate::OUTBOX;
use crate::prepared::Folder;
use crate::program::{code, stderr};

/// Addresses with a password where `#` stands, as people write them: right, in another
/// case, mistyped, and in the words of libpq. Nobody listens on the port.
const SHAPES: [&str; 12] = [
    "postgres://crm:#@127.0.0.1:1/leads",
    "Postgres://crm:#@127.0.0.1:1/leads",
    "POSTGRESQL://crm:#@127.0.0.1:1/leads",
    " postgres://crm:#@127.0.0.1:1/leads",
    "postgressql://crm:#@127.0.0.1:1/leads",
    "postgresql:/crm:#@127.0.0.1:1/leads",
    "postgresql//crm:#@127.0.0.1:1/leads",
    "crm:#@127.0.0.1:1/leads",
    "postgres://crm@127.0.0.1:1/leads?password=#",
    "host=127.0.0.1 port=1 user=crm password=#",
    "password = # host=127.0.0.1",
    "\tpassword=#",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// What stands in a terminal's scrollback or a cron job's mail is read by others.
    #[test]
    fn a_password_is_in_no_output(
        shape in select(&SHAPES[..]),
        pieces in prop::collection::vec("[A-Z]{2}[0-9]{3}[A-Z]{3}", 1..4),
        between in select(&["@", "/", ":", "?", "@@", "%40", "%", "&", "=", " "][..]),
        command in select(&["counts", "migrate", "inbox"][..]),
    ) {
        let folder = Folder::new("secret");
        let address = shape.replace('#', &pieces.join(between));
        let mut words = vec![&*address, command];
        words.extend((command == "inbox").then_some("counts"));
        let output = OUTBOX.run(folder.path(), &words);
        prop_assert_eq!(code(&output), 2);
        let said = format!("{}{}", stderr(&output), String::from_utf8_lossy(&output.stdout));
        for piece in &pieces {
            prop_assert!(!said.contains(piece), "{address}: {said}");
            prop_assert!(!said.contains(&piece.to_lowercase()), "{address}: {said}");
        }
    }
}
