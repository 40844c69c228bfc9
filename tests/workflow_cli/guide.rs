//! The guide's chapter on operating: each command of the workflows that it shows is run, in
//! turn, on the file that it speaks of.

use crate::prepared::{Folder, orders};
use crate::{WORKFLOW, chapter};

#[tokio::test]
async fn the_chapter_shows_what_the_program_prints() {
    let folder = Folder::new("guide");
    orders(folder.path()).await;
    let shown = chapter::shows_what_it_prints(&WORKFLOW, "workflow", folder.path());
    assert!(shown >= 8, "the chapter shows what somebody on call does");
}
