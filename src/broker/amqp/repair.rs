//! The frames of the server as the client can read them. It ends a connection over a short text that is not UTF-8, and its thread
//! over tables nested without end; the server hands out either, so that one message would end every consumer of its queue.

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const HEARTBEAT: u8 = 8;

/// The kind of a frame, its channel and its length.
const HEAD: usize = 7;

/// More than a server agrees to, which frames of methods and headers never come near.
const LARGEST: usize = 16 * 1024 * 1024;

/// How deep tables and lists are read; what is deeper is handed on as bytes.
const DEEPEST: u8 = 16;

/// What comes from a server, piece by piece.
#[derive(Default)]
pub(super) struct Frames {
    /// The head of a frame, or the whole of one that is looked at.
    held: Vec<u8>,
    /// How much is to come of a frame that is not.
    passing: usize,
    /// It speaks something else, of which the client may say what it likes.
    foreign: bool,
}

impl Frames {
    pub(super) fn pass(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        while !bytes.is_empty() {
            if self.foreign {
                return out.extend_from_slice(bytes);
            }
            let length = self.length();
            let wanted = match length {
                _ if self.passing > 0 => self.passing,
                None => HEAD.saturating_sub(self.held.len()),
                // With the byte that ends a frame.
                Some(length) => HEAD.saturating_add(length).saturating_add(1).saturating_sub(self.held.len()),
            };
            let Some((now, rest)) = bytes.split_at_checked(wanted.min(bytes.len())) else { return };
            bytes = rest;
            if self.passing > 0 {
                self.passing = self.passing.saturating_sub(now.len());
                out.extend_from_slice(now);
                continue;
            }
            self.held.extend_from_slice(now);
            if now.len() < wanted {
                return;
            }
            let kind = self.held.first().copied().unwrap_or_default();
            match (length, self.length()) {
                (None, Some(length)) => {
                    if matches!(kind, METHOD | HEADER) && length <= LARGEST {
                        continue;
                    }
                    self.foreign = !matches!(kind, METHOD | HEADER | BODY | HEARTBEAT);
                    self.passing = length.saturating_add(1);
                }
                (_, length) => {
                    let payload = self.held.get_mut(HEAD..HEAD.saturating_add(length.unwrap_or_default()));
                    repair(kind, payload.unwrap_or_default());
                }
            }
            out.append(&mut self.held);
        }
    }

    /// That of the payload, once the head is there.
    fn length(&self) -> Option<usize> {
        let length: [u8; 4] = self.held.get(3..HEAD)?.try_into().ok()?;
        usize::try_from(u32::from_be_bytes(length)).ok()
    }
}

/// What cannot be walked through to its end is left to the client from there on.
fn repair(kind: u8, payload: &mut [u8]) {
    let mut rest = Rest(payload);
    let _ = if kind == HEADER { rest.properties() } else { rest.delivery() };
}

/// What is still to be walked through.
struct Rest<'b>(&'b mut [u8]);

impl<'b> Rest<'b> {
    fn take(&mut self, length: usize) -> Option<&'b mut [u8]> {
        let (taken, rest) = std::mem::take(&mut self.0).split_at_mut_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number<const LENGTH: usize>(&mut self) -> Option<[u8; LENGTH]> {
        self.take(LENGTH)?.as_ref().try_into().ok()
    }

    fn long(&mut self) -> Option<&'b mut [u8]> {
        let length = usize::try_from(u32::from_be_bytes(self.number()?)).ok()?;
        self.take(length)
    }

    fn short(&mut self) -> Option<()> {
        let [length] = self.number()?;
        text(self.take(length.into())?);
        Some(())
    }

    /// `basic.deliver` and `basic.get-ok` name exchange and routing key.
    fn delivery(&mut self) -> Option<()> {
        match self.number()? {
            [0, 60, 0, 60] => self.short()?,
            [0, 60, 0, 71] => {}
            _ => return None,
        }
        self.take(9)?;
        self.short()?;
        self.short()
    }

    fn properties(&mut self) -> Option<()> {
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
        self.take(12)?; // class, weight, size
        let mut flags = u16::from_be_bytes(self.number()?);
        for property in EACH {
            if flags & 0x8000 != 0 {
                match property {
                    Property::Short => self.short()?,
                    Property::Table => Rest(self.long()?).table(DEEPEST)?,
                    Property::Skipped(length) => drop(self.take(length)?),
                }
            }
            flags = flags.rotate_left(1);
        }
        Some(())
    }

    fn table(&mut self, depth: u8) -> Option<()> {
        while !self.0.is_empty() {
            self.short()?;
            self.value(depth)?;
        }
        Some(())
    }

    fn list(&mut self, depth: u8) -> Option<()> {
        while !self.0.is_empty() {
            self.value(depth)?;
        }
        Some(())
    }

    fn value(&mut self, depth: u8) -> Option<()> {
        let kind = self.take(1)?.first_mut()?;
        let length = match *kind {
            b'A' | b'F' => {
                let (is_table, mut inner) = (*kind == b'F', Rest(self.long()?));
                return match depth.checked_sub(1) {
                    Some(depth) if is_table => inner.table(depth),
                    Some(depth) => inner.list(depth),
                    // Bytes, which are as long.
                    None => {
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

/// Makes a text of as many bytes that is UTF-8, where it is none: each byte that is at fault without its highest bit, so that texts
/// that differ stay different.
fn text(mut bytes: &mut [u8]) {
    while let Err(found) = str::from_utf8(bytes) {
        let (valid, faulty) = (found.valid_up_to(), found.error_len().unwrap_or(bytes.len()));
        let Some((_, rest)) = bytes.split_at_mut_checked(valid) else { return };
        let length = faulty.min(rest.len());
        let Some((faulty, rest)) = rest.split_at_mut_checked(length) else { return };
        faulty.iter_mut().for_each(|byte| *byte &= 0x7f);
        bytes = rest;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap_or_default().to_be_bytes();
        [&[kind, 0, 1][..], &length, payload, &[0xCE]].concat()
    }

    /// In pieces of so many bytes.
    fn passed(bytes: &[u8], piece: usize) -> Vec<u8> {
        let (mut frames, mut out) = (Frames::default(), Vec::new());
        bytes.chunks(piece.max(1)).for_each(|piece| frames.pass(piece, &mut out));
        out
    }

    fn header(flags: u16, properties: &[u8]) -> Vec<u8> {
        frame(HEADER, &[&[0, 60, 0, 0][..], &[0; 8], &flags.to_be_bytes(), properties].concat())
    }

    #[test]
    fn a_text_in_another_encoding_becomes_one_of_the_same_length_and_others_stay() {
        for (text, wanted) in [
            (&b"caf\xe9"[..], &b"cafi"[..]),
            (b"caf\xe8", b"cafh"),
            ("café".as_bytes(), "café".as_bytes()),
            (b"\xff\xfe\xc3", b"\x7f\x7eC"),
        ] {
            let with = |text: &[u8]| header(1 << 7, &[&[u8::try_from(text.len()).unwrap_or_default()], text].concat());
            assert_eq!(passed(&with(text), 3), with(wanted));
        }
    }

    #[test]
    fn what_is_nested_without_end_is_handed_on_as_bytes() {
        let mut nested = Vec::new();
        for _ in 0..20_000 {
            let length = u32::try_from(nested.len()).unwrap_or_default().to_be_bytes();
            nested = [&b"A"[..], &length, &nested].concat();
        }
        let entry = [&b"\x01k"[..], &nested].concat();
        let table = [&u32::try_from(entry.len()).unwrap_or_default().to_be_bytes()[..], &entry].concat();
        let sent = header(1 << 13, &table);
        let out = passed(&sent, 4096);
        let changed: Vec<_> = sent.iter().zip(&out).filter(|(sent, out)| sent != out).collect();
        assert_eq!((out.len(), changed), (sent.len(), vec![(&b'A', &b'x')]));
    }

    proptest! {
        #[test]
        fn frames_of_whatever_content_keep_their_length_in_whatever_pieces(
            frames in prop::collection::vec((prop::sample::select(&[METHOD, HEADER, BODY, HEARTBEAT][..]), any::<Vec<u8>>()), 0..6),
            piece in 1_usize..40,
        ) {
            let bytes: Vec<u8> = frames.iter().flat_map(|(kind, payload)| frame(*kind, payload)).collect();
            let out = passed(&bytes, piece);
            prop_assert_eq!(out.len(), bytes.len());
            prop_assert_eq!(out, passed(&bytes, bytes.len()));
        }

        #[test]
        fn bytes_that_are_no_frames_pass_as_they_are(bytes: Vec<u8>, piece in 1_usize..40) {
            let foreign = [&b"HTTP/1.1 400 "[..], &bytes].concat();
            prop_assert_eq!(passed(&foreign, piece), foreign);
        }
    }
}
