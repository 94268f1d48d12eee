//! Puts values into a JSON object and leaves every other byte as it is: numbers keep their digits, members
//! their order, lines their indentation.
//!
//! A value goes where its field is, else behind the last member of its object. Objects on the way to it that
//! are not there, or are null, are made. Of fields that are there twice the last one counts, as for those who
//! read it.

use super::select::{no_json, text_of};
use infermesh_wire::Error;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt, ops::Range};

/// Where values go: the fields of one object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places(Vec<(Box<str>, Place)>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// Which value.
    Value(usize),
    Object(Places),
}

impl Places {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Value number `value` goes to the field at the end of `keys`. Returns whether that is free: neither
    /// another value's nor within it nor around it.
    pub fn add(&mut self, keys: &[Box<str>], value: usize) -> bool {
        let Some((key, rest)) = keys.split_first() else { return false };
        let known = self.0.iter_mut().find(|(it, _)| it == key);
        match (known, rest) {
            (None, []) => self.0.push((key.clone(), Place::Value(value))),
            (None, _) => {
                let mut below = Self::default();
                below.add(rest, value);
                self.0.push((key.clone(), Place::Object(below)));
            }
            (Some((_, Place::Object(below))), [_, ..]) => return below.add(rest, value),
            _ => return false,
        }
        true
    }

    /// A body with values, each of them JSON.
    ///
    /// Fails with INVALID_ARGUMENT if the body is no JSON, or something on the way to a field is no object.
    pub fn splice(&self, body: &[u8], values: &[String]) -> Result<Vec<u8>, Error> {
        let text = text_of(body)?;
        let mut edits = Vec::new();
        Splice { body: text, values, edits: &mut edits }.object(self, text, "the body")?;
        edits.sort_by_key(|edit| edit.at.start);
        let mut out =
            Vec::with_capacity(body.len() + edits.iter().map(|edit| edit.text.len()).sum::<usize>());
        let mut copied = 0;
        for Edit { at, text } in edits {
            out.extend_from_slice(&body[copied..at.start]);
            out.extend_from_slice(text.as_bytes());
            copied = at.end;
        }
        out.extend_from_slice(&body[copied..]);
        Ok(out)
    }

    /// The object that holds nothing but the values.
    fn write(&self, values: &[String], out: &mut String) {
        out.push('{');
        self.members(values, out);
        out.push('}');
    }

    fn members(&self, values: &[String], out: &mut String) {
        for (index, (key, place)) in self.0.iter().enumerate() {
            out.push_str(if index > 0 { "," } else { "" });
            write_member(key, place, values, out);
        }
    }
}

fn write_member(key: &str, place: &Place, values: &[String], out: &mut String) {
    out.push_str(&serde_json::Value::from(key).to_string());
    out.push(':');
    match place {
        Place::Value(value) => out.push_str(&values[*value]),
        Place::Object(places) => places.write(values, out),
    }
}

struct Edit {
    at: Range<usize>,
    text: String,
}

struct Splice<'a> {
    body: &'a str,
    values: &'a [String],
    edits: &'a mut Vec<Edit>,
}

impl<'a> Splice<'a> {
    /// `text` is the object's part of the body.
    fn object(&mut self, places: &Places, text: &'a str, name: &str) -> Result<(), Error> {
        let start = text.len() - text.trim_start_matches([' ', '\t', '\n', '\r']).len();
        if !text[start..].starts_with('{') {
            // What is no JSON at all is to be called so.
            serde_json::from_str::<&RawValue>(text).map_err(|error| no_json(&error))?;
            let found = kind(&text[start..]);
            return Err(Error::invalid(format!("{name} is {found}, expected an object to put values into")));
        }
        let mut reader = serde_json::Deserializer::from_str(text);
        let Members { found, last } =
            reader.deserialize_map(Search(places)).map_err(|error| no_json(&error))?;
        reader.end().map_err(|error| no_json(&error))?;

        let mut added = String::new();
        for ((key, place), found) in places.0.iter().zip(found) {
            match (place, found) {
                (Place::Value(value), Some(old)) => self.replace(old, self.values[*value].clone()),
                (Place::Object(below), Some(old @ "null")) => {
                    let mut object = String::new();
                    below.write(self.values, &mut object);
                    self.replace(old, object);
                }
                (Place::Object(below), Some(old)) => self.object(below, old, &format!("{name}'s {key:?}"))?,
                (_, None) => {
                    added.push(',');
                    write_member(key, place, self.values, &mut added);
                }
            }
        }
        if !added.is_empty() {
            let (at, text) = match last {
                Some(last) => (self.offset(last) + last.len(), added),
                // An empty object has nothing to be divided from.
                None => (self.offset(text) + start + 1, added.split_off(1)),
            };
            self.edits.push(Edit { at: at..at, text });
        }
        Ok(())
    }

    fn replace(&mut self, old: &'a str, text: String) {
        let start = self.offset(old);
        self.edits.push(Edit { at: start..start + old.len(), text });
    }

    /// Where a part of the body begins in it.
    fn offset(&self, part: &str) -> usize {
        part.as_ptr() as usize - self.body.as_ptr() as usize
    }
}

fn kind(json: &str) -> &'static str {
    match json.as_bytes().first() {
        Some(b'[') => "a list",
        Some(b'"') => "text",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

/// What an object has of the places, as it stands in the body.
struct Members<'a> {
    /// In their order.
    found: Vec<Option<&'a str>>,
    /// The value that nothing but the end follows.
    last: Option<&'a str>,
}

struct Search<'p>(&'p Places);

impl<'de> Visitor<'de> for Search<'_> {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found = vec![None; self.0.0.len()];
        let mut last = None;
        while let Some((Key(key), value)) = members.next_entry::<Key<'_>, &RawValue>()? {
            last = Some(value.get());
            if let Some(at) = self.0.0.iter().position(|(it, _)| **it == *key) {
                found[at] = last;
            }
        }
        Ok(Members { found, last })
    }
}

/// Borrowed unless it has escapes in it.
#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrich::{Found, Sources, View};
    use proptest::prelude::*;

    /// Puts value 0, 1, ... at the paths, whose keys have no dots in them.
    fn spliced(body: &str, paths: &[&str], values: &[&str]) -> Result<String, String> {
        let mut places = Places::default();
        for (index, path) in paths.iter().enumerate() {
            assert!(places.add(&path.split('.').map(Into::into).collect::<Vec<_>>(), index));
        }
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        let spliced = places.splice(body.as_bytes(), &values).map_err(|error| error.message.into_owned())?;
        Ok(String::from_utf8(spliced).unwrap())
    }

    fn at(body: &str, path: &str) -> String {
        spliced(body, &[path], &["0.9"]).unwrap()
    }

    #[test]
    fn everything_else_stays_as_it_is() {
        let body =
            "{ \"price\": 12.50,\n  \"id\": 12345678901234567890123,  \"risk\" : null , \"z\": [1e2] }\n";
        assert_eq!(at(body, "risk"), body.replace("null", "0.9"));
        assert_eq!(at(body, "new"), body.replace("[1e2]", "[1e2],\"new\":0.9"));
    }

    #[test]
    fn values_are_added_behind_the_last_member() {
        assert_eq!(at("{}", "a"), r#"{"a":0.9}"#);
        assert_eq!(at(" { } ", "a"), r#" {"a":0.9 } "#);
        assert_eq!(at("{}", "a.b.c"), r#"{"a":{"b":{"c":0.9}}}"#);
        assert_eq!(at(r#"{"a": null}"#, "a.b"), r#"{"a": {"b":0.9}}"#);
        assert_eq!(at(r#"{"a": {"x": [{}]} }"#, "a.b"), r#"{"a": {"x": [{}],"b":0.9} }"#);
        assert_eq!(at(r#"{"a": {}, "b": {"c": {}}}"#, "b.c.d"), r#"{"a": {}, "b": {"c": {"d":0.9}}}"#);
        let several = spliced(r#"{"b": {"x": 1}}"#, &["a", "b.y", "b.x", "b.z.q"], &["1", "2", "3", "4"]);
        assert_eq!(several.unwrap(), r#"{"b": {"x": 3,"y":2,"z":{"q":4}},"a":1}"#);
    }

    #[test]
    fn keys_are_compared_without_their_escapes_and_the_last_counts() {
        assert_eq!(at(r#"{"\u0061": 1}"#, "a"), r#"{"\u0061": 0.9}"#);
        assert_eq!(at(r#"{"a": 1, "a": 2}"#, "a"), r#"{"a": 1, "a": 0.9}"#);
        assert_eq!(at("{}", "a\"\n"), r#"{"a\"\n":0.9}"#);
    }

    #[test]
    fn what_cannot_hold_a_value_is_said() {
        for (body, path, message) in [
            ("[1]", "a", "the body is a list, expected an object to put values into"),
            ("\"x\"", "a", "the body is text, expected an object to put values into"),
            ("null", "a", "the body is null, expected an object to put values into"),
            (
                r#"{"a": {"b": 1}}"#,
                "a.b.c",
                "the body's \"a\"'s \"b\" is a number, expected an object to put values into",
            ),
            (r#"{"a": [1]}"#, "a.b", "the body's \"a\" is a list, expected an object to put values into"),
            ("", "a", "the body is empty, expected JSON"),
            ("amount=3", "a", "the body is not JSON: expected value at line 1 column 1"),
            ("{\"a\": 1", "a", "the body is not JSON: EOF while parsing an object at line 1 column 7"),
            ("{} {}", "a", "the body is not JSON: trailing characters at line 1 column 4"),
        ] {
            assert_eq!(spliced(body, &[path], &["1"]), Err(message.to_owned()), "{body}");
        }
    }

    #[test]
    fn a_place_is_taken_once() {
        let mut places = Places::default();
        let mut add = |path: &str| places.add(&path.split('.').map(Into::into).collect::<Vec<_>>(), 0);
        assert_eq!(
            ["a.b", "a.c", "a.b", "a", "a.b.d", "e", "e.f"].map(&mut add),
            [true, true, false, false, false, true, false]
        );
    }

    fn document() -> impl Strategy<Value = String> {
        let number = prop_oneof![Just("12.50".to_owned()), Just("1e999".to_owned()), "[1-9][0-9]{0,40}"];
        let leaf = prop_oneof![
            number,
            Just("null".to_owned()),
            Just("true".to_owned()),
            ".{0,6}".prop_map(|text| serde_json::Value::from(text).to_string()),
        ];
        let space = "[ \n]{0,2}";
        let value = leaf.prop_recursive(4, 40, 4, move |inner| {
            let member = (space, "[a-d]", space, inner.clone(), space);
            let member = member.prop_map(|(a, key, b, value, c)| format!("{a}\"{key}\"{b}:{value}{c}"));
            prop_oneof![
                prop::collection::vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(","))),
                prop::collection::vec(member, 0..4).prop_map(|members| format!("{{{}}}", members.join(","))),
            ]
        });
        prop::collection::vec(("[a-d]", value), 0..5).prop_map(|members| {
            let members: Vec<_> =
                members.into_iter().map(|(key, value)| format!("\"{key}\": {value}")).collect();
            format!(" {{{}}}", members.join(" ,"))
        })
    }

    /// What a document has at a path, as it stands there.
    fn look(body: &str, path: &str) -> Option<Range<usize>> {
        let source = format!("body.{path}").parse().unwrap();
        let (mut sources, headers) = (Sources::default(), Default::default());
        sources.add(&source);
        let view = View { method: "", path: "", query: "", headers: &headers, body: body.as_bytes() };
        let Found::Json(found) = sources.read(view).get(&source).unwrap() else { return None };
        let start = found.as_ptr() as usize - body.as_ptr() as usize;
        Some(start..start + found.len())
    }

    proptest! {
        #[test]
        fn the_value_is_there_and_every_other_byte_too(body in document(), path in "[a-e](\\.[a-e]){0,3}") {
            let value = "123456789.50";
            let null = path.match_indices('.').find_map(|(end, _)| {
                look(&body, &path[..end]).filter(|range| &body[range.clone()] == "null")
            });
            if let Ok(spliced) = spliced(&body, &[&path], &[value]) {
                prop_assert_eq!(look(&spliced, &path).map(|range| &spliced[range]), Some(value));
                match look(&body, &path).or(null) {
                    Some(old) => {
                        prop_assert!(spliced.starts_with(&body[..old.start]));
                        prop_assert!(spliced.ends_with(&body[old.end..]));
                        prop_assert!(old.start + body.len() - old.end < spliced.len());
                    }
                    None => {
                        let same = |(a, b): &(u8, u8)| a == b;
                        let head = spliced.bytes().zip(body.bytes()).take_while(same).count();
                        let tail = spliced.bytes().rev().zip(body.bytes().rev()).take_while(same).count();
                        prop_assert!(head + tail >= body.len(), "{} became {}", body, spliced);
                    }
                }
            }
        }
    }
}
