//! One request on its way: the payload, and what this request alone has.

use crate::{
    choice::Step,
    plan::{Payload, Workload},
};
use smallvec::SmallVec;

/// A few bytes that are put together for each request.
pub type Small = SmallVec<[u8; 96]>;

/// A W3C trace context whose sampled flag is set.
#[derive(Debug, Clone, Copy)]
pub struct Trace {
    pub id: [u8; 16],
    pub span: [u8; 8],
}

/// What a connection is to send.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    pub workload: &'a Workload,
    pub payload: &'a Payload,
    pub step: Option<&'a Step>,
    pub trace: Option<Trace>,
    /// Whether the answer is wanted, and not only its end.
    pub collect: bool,
}

impl Trace {
    pub const HEADER: &'static str = "traceparent";

    pub fn value(&self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let hex = |text: &mut String, bytes: &[u8]| {
            for byte in bytes {
                text.push(char::from(DIGITS[usize::from(byte >> 4)]));
                text.push(char::from(DIGITS[usize::from(byte & 15)]));
            }
        };
        let mut text = String::with_capacity(55);
        text.push_str("00-");
        hex(&mut text, &self.id);
        text.push('-');
        hex(&mut text, &self.span);
        text.push_str("-01");
        text
    }
}

impl Step {
    /// Entries of `parameters` (field 4), which may stand anywhere in a serialised ModelInferRequest.
    pub fn protobuf(&self) -> Small {
        const BOOL: u8 = 1 << 3;
        const INT64: u8 = 2 << 3;
        let mut entries = Small::new();
        let mut id = SmallVec::<[u8; 12]>::from_slice(&[INT64]);
        let mut rest = self.id;
        while rest >= 0x80 {
            id.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        id.push(rest as u8);
        entry(&mut entries, b"sequence_id", &id);
        entry(&mut entries, b"sequence_start", &[BOOL, u8::from(self.start)]);
        entry(&mut entries, b"sequence_end", &[BOOL, u8::from(self.end)]);
        entries
    }

    /// Members for the JSON object `parameters`; `more` says whether others follow.
    pub fn json(&self, more: bool) -> String {
        format!(
            r#""sequence_id":{},"sequence_start":{},"sequence_end":{}{}"#,
            self.id,
            self.start,
            self.end,
            if more { "," } else { "" }
        )
    }
}

/// `map<string, InferParameter>`: everything in it is shorter than 128 bytes.
fn entry(entries: &mut Small, key: &[u8], value: &[u8]) {
    const PARAMETERS: u8 = (4 << 3) | 2;
    entries.extend_from_slice(&[PARAMETERS, (key.len() + value.len() + 4) as u8]);
    entries.extend_from_slice(&[(1 << 3) | 2, key.len() as u8]);
    entries.extend_from_slice(key);
    entries.extend_from_slice(&[(2 << 3) | 2, value.len() as u8]);
    entries.extend_from_slice(value);
}
