//! Making up a write from its parts
//@ code: none
//@ error: cannot construct `integration_automation_patterns::sync::Write<'_, _>` with struct literal syntax due to private fields
//@ twin: Write => Row

pub use integration_automation_patterns::sync::Write;

pub struct Row<'a, T> {
    pub to: usize,
    pub value: Option<&'a T>,
    pub expects: Option<&'a T>,
}

pub fn overwrite(value: Option<&u8>) {
    let _ = Write { to: 0, value, expects: None }; //@ here
}
