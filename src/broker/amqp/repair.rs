//! The frames of the server as the client can read them. It ends a connection over a
//! short text that is not UTF-8, and its thread over tables nested without end; the
//! server hands out either, so that one message would end every consumer of its queue.
//! What was there before is told by a header of our own, so that no two messages become
//! one.

use std::collections::HashMap;

use super::walk::Rest;
use crate::broker::message::position_of_content;

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const HEARTBEAT: u8 = 8;

/// The kind of a frame, its channel and its length.
const HEAD: usize = 7;

/// More than a server agrees to, which frames of methods and headers never come near.
const LARGEST: usize = 16 * 1024 * 1024;

/// The header that tells repaired messages apart, by what was repaired.
const REPAIRED: &[u8] = b"x-repaired";

/// What comes from a server, piece by piece.
#[derive(Default)]
pub(super) struct Frames {
    /// The head of a frame, or the whole of one that is looked at.
    held: Vec<u8>,
    /// How much is to come of a frame that is not.
    passing: usize,
    /// What was repaired of the names of a message whose properties are to come, on each
    /// channel.
    named: HashMap<[u8; 2], Vec<u8>>,
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
                Some(length) => HEAD
                    .saturating_add(length)
                    .saturating_add(1)
                    .saturating_sub(self.held.len()),
            };
            let Some((now, rest)) = bytes.split_at_checked(wanted.min(bytes.len()))
            else {
                return;
            };
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
                _ => self.repair(kind),
            }
            out.append(&mut self.held);
        }
    }

    /// What cannot be walked through to its end is left to the client from there on.
    fn repair(&mut self, kind: u8) {
        let Some((head, payload)) = self.held.split_at_mut_checked(HEAD) else { return };
        let channel =
            [head.get(1), head.get(2)].map(|byte| byte.copied().unwrap_or_default());
        let Some((_, payload)) = payload.split_last_mut() else { return };
        let mut rest = Rest::of(payload);
        if kind == METHOD {
            let _ = rest.delivery();
            if !rest.repaired.is_empty() {
                self.named.insert(channel, rest.repaired);
            }
            return;
        }
        let table = rest.properties();
        let parts = [self.named.remove(&channel).unwrap_or_default(), rest.repaired];
        if let Some(table) = table.filter(|_| parts.iter().any(|part| !part.is_empty())) {
            let told = entry(&position_of_content(parts.iter().map(Vec::as_slice)));
            let _ = self.insert(HEAD.saturating_add(table), &told);
        }
    }

    /// Puts an entry into the table of headers that stands here, or is to stand here.
    fn insert(&mut self, table: usize, entry: &[u8]) -> Option<()> {
        let flags = self.held.get_mut(FLAGS)?;
        let is_there = *flags & 0x20 != 0;
        *flags |= 0x20;
        let added = match is_there {
            true => {
                let behind = table.checked_add(4)?;
                let length = self.held.get_mut(table..behind)?;
                grow(length, entry.len())?;
                self.held.splice(behind..behind, entry.iter().copied());
                entry.len()
            }
            false => {
                let length = u32::try_from(entry.len()).ok()?.to_be_bytes();
                self.held.splice(
                    table..table,
                    length.into_iter().chain(entry.iter().copied()),
                );
                entry.len().checked_add(length.len())?
            }
        };
        grow(self.held.get_mut(3..HEAD)?, added)
    }

    /// That of the payload, once the head is there.
    fn length(&self) -> Option<usize> {
        let length: [u8; 4] = self.held.get(3..HEAD)?.try_into().ok()?;
        usize::try_from(u32::from_be_bytes(length)).ok()
    }
}

/// The byte that says whether there are headers, in the frame of properties.
const FLAGS: usize = HEAD + 12;

/// A length of four bytes.
fn grow(length: &mut [u8], by: usize) -> Option<()> {
    let found = u32::from_be_bytes(length.as_ref().try_into().ok()?);
    length.copy_from_slice(&found.checked_add(u32::try_from(by).ok()?)?.to_be_bytes());
    Some(())
}

/// An entry of a table: a name and a text, neither of which is long.
fn entry(text: &str) -> Vec<u8> {
    let length = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap_or_default();
    [
        &[length(REPAIRED)],
        REPAIRED,
        &[b'S', 0, 0, 0, length(text.as_bytes())],
        text.as_bytes(),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::broker::amqp::walk::FAULTY;

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
        frame(
            HEADER,
            &[&[0, 60, 0, 0][..], &[0; 8], &flags.to_be_bytes(), properties].concat(),
        )
    }

    fn short(text: &[u8]) -> Vec<u8> {
        [&[u8::try_from(text.len()).unwrap_or_default()], text].concat()
    }

    fn long(bytes: &[u8]) -> Vec<u8> {
        [&u32::try_from(bytes.len()).unwrap_or_default().to_be_bytes()[..], bytes]
            .concat()
    }

    /// The entry by which a header frame says what one of its texts or values was,
    /// counted from 1.
    fn told(place: u32, was: &[u8]) -> Vec<u8> {
        entry(&position_of_content([
            &b""[..],
            &[&place.to_be_bytes()[..], &long(was)].concat(),
        ]))
    }

    const HEADERS: u16 = 1 << 13;
    const MESSAGE_ID: u16 = 1 << 7;

    #[test]
    fn a_text_in_another_encoding_becomes_one_of_the_same_length_and_says_so_in_a_header()
    {
        for (text, wanted) in [
            (&b"caf\xe9"[..], &b"caf?"[..]),
            (b"\xff\xfe\xc3", b"???"),
            (b"ce-i\xe4", b"ce-i?"),
        ] {
            let told = told(1, text);
            let repaired = passed(&header(MESSAGE_ID, &short(text)), 3);
            assert_eq!(
                repaired,
                header(HEADERS | MESSAGE_ID, &[long(&told), short(wanted)].concat())
            );
        }
        let utf8 = header(MESSAGE_ID, &short("café".as_bytes()));
        assert_eq!(passed(&utf8, 3), utf8);
    }

    #[test]
    fn what_differs_before_it_is_repaired_differs_after() {
        let table = |name: &[u8], text: &[u8]| {
            long(&[&short(name)[..], b"S", &long(text)].concat())
        };
        let deliver = |key: &[u8]| {
            frame(
                METHOD,
                &[&[0, 60, 0, 71][..], &[0; 9], &short(b"crm"), &short(key)].concat(),
            )
        };
        let id = |id: &[u8]| header(MESSAGE_ID, &short(id));
        let different = [
            [deliver(b"k"), id(b"caf?")].concat(),
            [deliver(b"k"), id(b"caf\xe9")].concat(),
            [deliver(b"k"), id(b"caf\xe8")].concat(),
            [deliver(b"\xe9"), id(b"caf?")].concat(),
            [deliver(b"\xe8"), id(b"caf?")].concat(),
            [deliver(b"?"), id(b"caf?")].concat(),
            header(HEADERS, &table(b"n\xe4", b"1")),
            header(HEADERS, &table(b"n\xe5", b"1")),
            header(HEADERS | MESSAGE_ID, &[table(b"n?", b""), short(b"n\xe4")].concat()),
            header(HEADERS | MESSAGE_ID, &[table(b"n\xe4", b""), short(b"n?")].concat()),
        ];
        let mut out: Vec<_> = different.iter().map(|sent| passed(sent, 7)).collect();
        out.sort();
        out.dedup();
        assert_eq!(out.len(), different.len());
    }

    #[test]
    fn what_the_server_adds_changes_no_message() {
        for queue in [&b"q"[..], b"q\xe8", b"q\xe9"] {
            let death = |queue: &[u8]| {
                [&short(b"x-death")[..], b"F", &long(&[&short(queue)[..], b"V"].concat())]
                    .concat()
            };
            let with = |queue: &[u8], name: &[u8]| {
                [&death(queue)[..], &short(name), b"V"].concat()
            };
            let shown: Vec<u8> = queue
                .iter()
                .map(|byte| if byte.is_ascii() { *byte } else { FAULTY })
                .collect();
            let out = passed(&header(HEADERS, &long(&with(queue, b"n\xe4"))), 64);
            let wanted = [told(1, b"n\xe4"), with(&shown, b"n?")].concat();
            assert_eq!(out, header(HEADERS, &long(&wanted)), "{queue:?}");
        }
    }

    #[test]
    fn what_is_nested_without_end_is_handed_on_as_bytes() {
        let mut nested = Vec::new();
        for _ in 0..20_000 {
            let length = u32::try_from(nested.len()).unwrap_or_default().to_be_bytes();
            nested = [&b"A"[..], &length, &nested].concat();
        }
        let with = |table: &[u8]| header(HEADERS, &long(table));
        let mut table = [&short(b"k")[..], &nested].concat();
        let out = passed(&with(&table), 4096);
        // Behind the name, each level has its kind and its length.
        let too_deep = table.get_mut(2 + 16 * 5);
        assert_eq!(too_deep.map(|kind| std::mem::replace(kind, b'x')), Some(b'A'));
        let told = told(18, b"A");
        assert_eq!(out, with(&[told, table].concat()));
    }

    proptest! {
        #[test]
        fn frames_of_whatever_content_are_frames_in_whatever_pieces(
            frames in prop::collection::vec((prop::sample::select(&[METHOD, HEADER, BODY, HEARTBEAT][..]), any::<Vec<u8>>()), 0..6),
            piece in 1_usize..40,
        ) {
            let bytes: Vec<u8> = frames.iter().flat_map(|(kind, payload)| frame(*kind, payload)).collect();
            let out = passed(&bytes, piece);
            prop_assert_eq!(&out, &passed(&bytes, bytes.len()));
            prop_assert_eq!(&passed(&out, piece), &out, "what is repaired can be read");
        }

        #[test]
        fn bytes_that_are_no_frames_pass_as_they_are(bytes: Vec<u8>, piece in 1_usize..40) {
            let foreign = [&b"HTTP/1.1 400 "[..], &bytes].concat();
            prop_assert_eq!(passed(&foreign, piece), foreign);
        }
    }
}
