//! Lays the values of one source out as a tensor: nested lists become dimensions.

use super::{element::Scalar, select::Found};
use infermesh_wire::DataType;
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use serde_json::value::RawValue;
use smallvec::SmallVec;
use std::fmt;

/// No model of what an app says has more.
const MAX_RANK: usize = 8;
/// Of a value, in messages.
const SHOWN: usize = 32;

pub type Dims = SmallVec<[usize; 4]>;

/// The elements of a tensor, and the lists that they stood in, outermost first; a single value stands in
/// none.
#[derive(Debug, PartialEq)]
pub struct Gathered {
    pub dims: Dims,
    pub raw: Vec<u8>,
}

/// Why values are no tensor. Shown behind what names the field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    found: String,
    expected: String,
}

impl Mismatch {
    pub fn new(found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { found: found.into(), expected: expected.into() }
    }

    /// Expects something more.
    pub fn among(mut self, what: &str) -> Self {
        self.expected = format!("{} and {what}", self.expected);
        self
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "found {}, expected {}", self.found, self.expected)
    }
}

/// How values are laid out.
#[derive(Debug, Clone, Copy)]
pub struct Layout<'a> {
    pub datatype: DataType,
    /// JSON, in place of each value that is missing or null, and of an empty list.
    pub default: Option<&'a str>,
    /// Bytes that the tensor may have.
    pub max_bytes: usize,
}

impl Layout<'_> {
    pub fn gather(self, found: &Found<'_>) -> Result<Gathered, Mismatch> {
        let gathered = self.all(found)?;
        match self.default {
            Some(default) if gathered.dims.contains(&0) => self.all(&Found::Json(default)),
            _ if gathered.dims.contains(&0) => Err(self.missing("an empty list")),
            _ => Ok(gathered),
        }
    }

    fn all(self, found: &Found<'_>) -> Result<Gathered, Mismatch> {
        let mut gather =
            Gather { layout: self, raw: Vec::new(), dims: Vec::new(), rank: None, mismatch: None };
        gather.found(found, 0)?;
        Ok(Gathered { dims: gather.dims.into_iter().flatten().collect(), raw: gather.raw })
    }

    fn missing(self, what: &str) -> Mismatch {
        Mismatch::new(what, format!("{} (or a default)", self.datatype.name()))
    }
}

struct Gather<'a> {
    layout: Layout<'a>,
    raw: Vec<u8>,
    /// Of the lists down to where it was seen; of those whose end was not, none yet.
    dims: Vec<Option<usize>>,
    /// How many lists every value stands in.
    rank: Option<usize>,
    /// What a list in JSON failed with.
    mismatch: Option<Mismatch>,
}

impl Gather<'_> {
    fn found(&mut self, found: &Found<'_>, depth: usize) -> Result<(), Mismatch> {
        match found {
            Found::Nothing => self.missing("nothing", depth),
            Found::Text(text) => self.scalar(&Scalar::Text((&**text).into()), text, depth),
            Found::Json(json) => self.json(json, depth),
            Found::Each(each) => {
                self.open(depth)?;
                each.iter().try_for_each(|found| self.found(found, depth + 1))?;
                self.close(each.len(), depth)
            }
        }
    }

    fn json(&mut self, json: &str, depth: usize) -> Result<(), Mismatch> {
        match json.as_bytes().first() {
            Some(b'n') => self.missing("null", depth),
            Some(b'[') => {
                self.open(depth)?;
                let list = List { gather: self, depth };
                let count = serde_json::Deserializer::from_str(json).deserialize_seq(list);
                match count {
                    Ok(count) => self.close(count, depth),
                    Err(error) => Err(self.mismatch.take().unwrap_or_else(|| self.unfit(&error.to_string()))),
                }
            }
            _ => match Scalar::of_json(json) {
                Some(scalar) => self.scalar(&scalar, json, depth),
                None => Err(self.unfit(json)),
            },
        }
    }

    fn missing(&mut self, what: &str, depth: usize) -> Result<(), Mismatch> {
        match self.layout.default {
            // Not null, which would ask for the default again.
            Some(default) => self.json(default, depth),
            None => Err(self.layout.missing(what)),
        }
    }

    fn scalar(&mut self, scalar: &Scalar<'_>, text: &str, depth: usize) -> Result<(), Mismatch> {
        if *self.rank.get_or_insert(depth) != depth || self.dims.len() > depth {
            return Err(Mismatch::new(format!("{} beside a list", shown(text)), "lists of equal depth"));
        }
        let fits = scalar.put(&mut self.raw, self.layout.datatype);
        if self.raw.len() > self.layout.max_bytes {
            return Err(Mismatch::new("more", format!("{} bytes at most", self.layout.max_bytes)));
        }
        fits.ok_or_else(|| self.unfit(text))
    }

    fn unfit(&self, text: &str) -> Mismatch {
        Mismatch::new(shown(text), self.layout.datatype.name())
    }

    fn open(&mut self, depth: usize) -> Result<(), Mismatch> {
        if depth == MAX_RANK {
            return Err(Mismatch::new("more", format!("{MAX_RANK} lists within each other at most")));
        }
        if self.rank.is_some_and(|rank| depth >= rank) {
            return Err(Mismatch::new("a list beside a single value", "lists of equal depth"));
        }
        if self.dims.len() == depth {
            self.dims.push(None);
        }
        Ok(())
    }

    fn close(&mut self, count: usize, depth: usize) -> Result<(), Mismatch> {
        match *self.dims[depth].get_or_insert(count) {
            first if first == count => Ok(()),
            first => {
                Err(Mismatch::new(format!("lists of {first} and {count} values"), "lists of equal length"))
            }
        }
    }
}

/// The elements of a list in JSON; returns how many there are.
struct List<'g, 'a> {
    gather: &'g mut Gather<'a>,
    depth: usize,
}

impl<'de> Visitor<'de> for List<'_, '_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<usize, A::Error> {
        let mut count = 0;
        while let Some(element) = elements.next_element::<&RawValue>()? {
            if let Err(mismatch) = self.gather.json(element.get(), self.depth + 1) {
                self.gather.mismatch = Some(mismatch);
                return Err(A::Error::custom("no tensor"));
            }
            count += 1;
        }
        Ok(count)
    }
}

/// Enough of a value to recognise it.
fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUT: Layout<'_> = Layout { datatype: DataType::Int8, default: None, max_bytes: 64 };

    fn gather(json: &str) -> Result<(Vec<usize>, Vec<u8>), String> {
        gathered(LAYOUT, &Found::Json(json))
    }

    fn gathered(layout: Layout<'_>, found: &Found<'_>) -> Result<(Vec<usize>, Vec<u8>), String> {
        let gathered = layout.gather(found).map_err(|mismatch| mismatch.to_string())?;
        Ok((gathered.dims.to_vec(), gathered.raw))
    }

    #[test]
    fn lists_are_dimensions() {
        assert_eq!(gather("7"), Ok((vec![], vec![7])));
        assert_eq!(gather("[1, \"2\", true]"), Ok((vec![3], vec![1, 2, 1])));
        assert_eq!(gather("[[1, 2, 3], [4, 5, 6]]"), Ok((vec![2, 3], vec![1, 2, 3, 4, 5, 6])));
        let rows = Found::Each(vec![Found::Json("[1, 2]"), Found::Json("[3, 4]")]);
        assert_eq!(gathered(LAYOUT, &rows), Ok((vec![2, 2], vec![1, 2, 3, 4])));
        assert_eq!(gathered(LAYOUT, &Found::Text("7".into())), Ok((vec![], vec![7])));
    }

    #[test]
    fn a_default_takes_the_place_of_what_is_missing() {
        let layout = Layout { default: Some("9"), ..LAYOUT };
        let nothing = || Found::Nothing;
        assert_eq!(gathered(layout, &nothing()), Ok((vec![], vec![9])));
        assert_eq!(gathered(layout, &Found::Json("[1, null]")), Ok((vec![2], vec![1, 9])));
        assert_eq!(
            gathered(layout, &Found::Each(vec![nothing(), Found::Json("1")])),
            Ok((vec![2], vec![9, 1]))
        );
        assert_eq!(gathered(layout, &Found::Each(vec![])), Ok((vec![], vec![9])));
        let vector = Layout { default: Some("[1, 2]"), ..LAYOUT };
        assert_eq!(gathered(vector, &Found::Json("null")), Ok((vec![2], vec![1, 2])));
        for found in [Found::Nothing, Found::Json("null"), Found::Json("[[]]"), Found::Json("[1, null]")] {
            let message = gathered(LAYOUT, &found).unwrap_err();
            assert!(message.ends_with("expected INT8 (or a default)"), "{found:?}: {message}");
        }
    }

    #[test]
    fn what_is_no_tensor_is_said() {
        for (json, message) in [
            ("{\"a\": 1}", "found {\"a\": 1}, expected INT8"),
            ("[1, \"x\"]", "found \"x\", expected INT8"),
            ("[[1], [2, 3]]", "found lists of 1 and 2 values, expected lists of equal length"),
            ("[1, [2]]", "found a list beside a single value, expected lists of equal depth"),
            ("[[1], 2]", "found 2 beside a list, expected lists of equal depth"),
            ("[[], 2]", "found 2 beside a list, expected lists of equal depth"),
            ("[[[[[[[[[1]]]]]]]]]", "found more, expected 8 lists within each other at most"),
            (&format!("\"{}\"", "x".repeat(80)), &format!("found \"{}..., expected INT8", "x".repeat(31))),
            (&format!("[{}1]", "1,".repeat(64)), "found more, expected 64 bytes at most"),
        ] {
            assert_eq!(gather(json), Err(message.to_owned()), "{json}");
        }
    }
}
