//! The guide's chapter on operating: each command of the outbox that it shows is run, in
//! turn, on the databases that it speaks of.

use crate::prepared::{Folder, crm, torn};
use crate::{OUTBOX, chapter};

#[tokio::test]
async fn the_chapter_shows_what_the_program_prints() {
    let folder = Folder::new("guide");
    crm(folder.path()).await;
    torn(folder.path()).await;
    let shown = chapter::shows_what_it_prints(&OUTBOX, "outbox", folder.path());
    assert!(shown >= 9, "the chapter shows every command");
}
