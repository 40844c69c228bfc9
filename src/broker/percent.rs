//! A part of an address, percent-encoded where it would be taken for another part.

/// What the part says, or why it says nothing.
pub(super) fn decoded(part: &str) -> Result<String, &'static str> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next(), rest.next()]
            .map(|digit| digit.and_then(|digit| char::from(digit).to_digit(16)));
        let [Some(high), Some(low)] = digits else {
            return Err("a % without two digits, which is %25");
        };
        bytes.push(
            u8::try_from(high.wrapping_mul(16).wrapping_add(low)).unwrap_or_default(),
        );
    }
    String::from_utf8(bytes).map_err(|_| "what is no UTF-8")
}
