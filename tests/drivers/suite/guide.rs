//! The guide shows the glue that these tests run.

const GUIDE: &str = include_str!("../../../src/guide/drivers.md");

#[test]
fn the_guide_shows_the_glue_as_it_is_tested() {
    for (name, glue) in [
        ("sqlx_sqlite", include_str!("glue/sqlx_sqlite.rs")),
        ("sea_orm", include_str!("glue/sea_orm.rs")),
        ("diesel_async", include_str!("glue/diesel_async.rs")),
        ("diesel_sqlite", include_str!("glue/diesel_sqlite.rs")),
    ] {
        let (_, code) = glue.split_once("\n\n").expect("a sentence, then code");
        assert!(GUIDE.contains(code), "the guide does not show glue/{name}.rs");
    }
}
