//! A frame, walked through part by part: short texts that are no UTF-8 and tables that are
//! nested too deep are repaired on the way, each in as many bytes.

use super::identity::is_of_the_server;

/// How deep tables and lists are read; what is deeper is handed on as bytes.
const DEEPEST: u8 = 16;

/// What stands for a byte that is no UTF-8: nothing that a name of an attribute has.
pub(super) const FAULTY: u8 = b'?';

/// What is still to be walked through, and what was repaired on the way.
pub(super) struct Rest<'b> {
    bytes: &'b mut [u8],
    /// How many names, texts and values were walked through.
    walked: u32,
    /// Which of them were repaired, with what they were.
    pub(super) repaired: Vec<u8>,
}

impl<'b> Rest<'b> {
    pub(super) const fn of(bytes: &'b mut [u8]) -> Self {
        Self { bytes, walked: 0, repaired: Vec::new() }
    }

    fn take(&mut self, length: usize) -> Option<&'b mut [u8]> {
        let (taken, rest) =
            std::mem::take(&mut self.bytes).split_at_mut_checked(length)?;
        self.bytes = rest;
        Some(taken)
    }

    /// Walks through what is within.
    fn within(
        &mut self,
        bytes: &'b mut [u8],
        walk: impl FnOnce(&mut Self) -> Option<()>,
    ) -> Option<()> {
        let rest = std::mem::replace(&mut self.bytes, bytes);
        walk(self)?;
        self.bytes = rest;
        Some(())
    }

    /// Keeps what is repaired of this one.
    fn keep(&mut self, was: &[u8]) {
        self.repaired.extend(self.walked.to_be_bytes());
        self.repaired.extend(u32::try_from(was.len()).unwrap_or(u32::MAX).to_be_bytes());
        self.repaired.extend_from_slice(was);
    }

    fn number<const LENGTH: usize>(&mut self) -> Option<[u8; LENGTH]> {
        self.take(LENGTH)?.as_ref().try_into().ok()
    }

    fn long(&mut self) -> Option<&'b mut [u8]> {
        let length = usize::try_from(u32::from_be_bytes(self.number()?)).ok()?;
        self.take(length)
    }

    fn short(&mut self) -> Option<&'b [u8]> {
        let [length] = self.number()?;
        let text = self.take(length.into())?;
        self.walked = self.walked.saturating_add(1);
        if str::from_utf8(text).is_err() {
            self.keep(text);
            as_utf8(text);
        }
        Some(text)
    }

    /// `basic.deliver` and `basic.get-ok` name exchange and routing key.
    pub(super) fn delivery(&mut self) -> Option<()> {
        match self.number()? {
            [0, 60, 0, 60] => drop(self.short()?),
            [0, 60, 0, 71] => {}
            _ => return None,
        }
        self.take(9)?;
        self.short()?;
        self.short().map(drop)
    }

    /// Says where in them the table of headers stands, or is to stand.
    pub(super) fn properties(&mut self) -> Option<usize> {
        /// In the order of the protocol, the first bit first.
        const EACH: [Property; 14] = {
            use Property::{Short, Skipped, Table};
            [
                Short,      // content_type
                Short,      // content_encoding
                Table,      // headers
                Skipped(1), // delivery_mode
                Skipped(1), // priority
                Short,      // correlation_id
                Short,      // reply_to
                Short,      // expiration
                Short,      // message_id
                Skipped(8), // timestamp
                Short,      // type
                Short,      // user_id
                Short,      // app_id
                Short,      // cluster_id
            ]
        };
        let (length, mut headers) = (self.bytes.len(), None);
        self.take(12)?; // class, weight, size
        let mut flags = u16::from_be_bytes(self.number()?);
        for property in EACH {
            if matches!(property, Property::Table) {
                headers = length.checked_sub(self.bytes.len());
            }
            if flags & 0x8000 != 0 {
                match property {
                    Property::Short => drop(self.short()?),
                    Property::Table => {
                        let table = self.long()?;
                        self.within(table, Self::headers)?;
                    }
                    Property::Skipped(length) => drop(self.take(length)?),
                }
            }
            flags = flags.rotate_left(1);
        }
        headers
    }

    /// What is repaired of the server's own tells no message from another: they change
    /// while it stays the same.
    fn headers(&mut self) -> Option<()> {
        while !self.bytes.is_empty() {
            let name = self.short()?;
            let (walked, repaired) = (self.walked, self.repaired.len());
            self.value(DEEPEST)?;
            if str::from_utf8(name).is_ok_and(is_of_the_server) {
                self.walked = walked.saturating_sub(1);
                self.repaired.truncate(repaired);
            }
        }
        Some(())
    }

    fn table(&mut self, depth: u8) -> Option<()> {
        while !self.bytes.is_empty() {
            self.short()?;
            self.value(depth)?;
        }
        Some(())
    }

    fn list(&mut self, depth: u8) -> Option<()> {
        while !self.bytes.is_empty() {
            self.value(depth)?;
        }
        Some(())
    }

    fn value(&mut self, depth: u8) -> Option<()> {
        let kind = self.take(1)?.first_mut()?;
        self.walked = self.walked.saturating_add(1);
        let length = match *kind {
            b'A' | b'F' => {
                let (is_table, inner) = (*kind == b'F', self.long()?);
                return match depth.checked_sub(1) {
                    Some(depth) if is_table => {
                        self.within(inner, |inner| inner.table(depth))
                    }
                    Some(depth) => self.within(inner, |inner| inner.list(depth)),
                    // Bytes, which are as long.
                    None => {
                        self.keep(&[*kind]);
                        *kind = b'x';
                        Some(())
                    }
                };
            }
            b'S' | b'x' => return self.long().map(drop),
            b'V' => 0,
            b't' | b'b' | b'B' => 1,
            b's' | b'u' | b'U' => 2,
            b'I' | b'i' | b'f' => 4,
            b'D' => 5,
            b'L' | b'l' | b'd' | b'T' => 8,
            _ => return None,
        };
        self.take(length).map(drop)
    }
}

#[derive(Clone, Copy)]
enum Property {
    Short,
    Table,
    Skipped(usize),
}

/// Makes a text of as many bytes that is UTF-8.
fn as_utf8(mut bytes: &mut [u8]) {
    while let Err(found) = str::from_utf8(bytes) {
        let (valid, faulty) =
            (found.valid_up_to(), found.error_len().unwrap_or(bytes.len()));
        let Some((_, rest)) = bytes.split_at_mut_checked(valid) else { return };
        let length = faulty.min(rest.len());
        let Some((faulty, rest)) = rest.split_at_mut_checked(length) else { return };
        faulty.fill(FAULTY);
        bytes = rest;
    }
}
