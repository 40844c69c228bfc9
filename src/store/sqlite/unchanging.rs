//! A file that nobody has open and that is not to be written to: SQLite reads it as one
//! that never changes.

use std::path::Path;

use super::file::log_of;

/// The address under which SQLite reads a file without a log and without locks.
pub(super) fn unchanging(path: &Path) -> Option<String> {
    if !path.is_file() || log_of(path).exists() {
        return None;
    }
    let mut address = String::from("file:");
    for byte in path.to_str()?.bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                address.push(char::from(byte))
            }
            _ => address.push_str(&format!("%{byte:02X}")),
        }
    }
    address.push_str("?immutable=1");
    Some(address)
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// A file with a log is none that nobody changes, whatever it is called.
    #[test]
    fn the_log_of_a_link_is_found() {
        let folder =
            std::env::temp_dir().join(format!("unchanging-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("test.db");
        let link = path.with_file_name("link.db");
        std::fs::write(&path, "").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(unchanging(&link).is_some());
        std::fs::write(log_of(&path), "").unwrap();
        assert_eq!(unchanging(&link), None);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
