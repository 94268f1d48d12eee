//! Where a rule reads, such as `body.items[*].price` or `header.x-tier`, and where it writes.
//!
//! ```text
//! source = "body" { step } | "header" step | "query" step | "path" | "method"
//! target = "body" key { key } | "header" key
//! step   = key | "[" index "]" | "[*]"
//! key    = "." bare | "[" JSON string "]"
//! ```
//!
//! A bare key is anything without white space and `. [ ] " *`; other keys are quoted, as in `body["a.b"]`.

use http::HeaderName;
use infermesh_wire::Error;
use std::{fmt, str::FromStr};

/// Deeper than people write, and shallow enough to recurse.
const MAX_STEPS: usize = 32;

/// Headers that belong to the connection or say how the body is to be read: a rule that sets them would break
/// the message.
const RESERVED: [&str; 12] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// One step into a JSON document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Key(Box<str>),
    Index(usize),
    /// Every element of a list.
    Each,
}

/// What a value is taken from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Of a JSON body; without steps, the whole.
    Body(Vec<Step>),
    Header(HeaderName),
    Query(Box<str>),
    Path,
    Method,
}

/// What a value is put into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A field of a JSON body: the keys on the way to it, at least one.
    Body(Vec<Box<str>>),
    Header(HeaderName),
}

impl Source {
    pub fn is_body(&self) -> bool {
        matches!(self, Self::Body(_))
    }

    /// Whether it is a list of values, one for each element of a list.
    pub fn is_list(&self) -> bool {
        matches!(self, Self::Body(steps) if steps.contains(&Step::Each))
    }
}

impl FromStr for Source {
    type Err = Error;

    /// Fails with INVALID_ARGUMENT, the character at which it went wrong, what was found there and what was
    /// expected.
    fn from_str(text: &str) -> Result<Self, Error> {
        let (mut cursor, root) = Cursor::begin(text);
        let source = match root {
            "body" => Self::Body(cursor.steps()?),
            "header" => Self::Header(cursor.header()?),
            "query" => Self::Query(cursor.key()?),
            "path" => Self::Path,
            "method" => Self::Method,
            _ => return Err(cursor.other_root("body, header, query, path or method")),
        };
        cursor.end().map(|()| source)
    }
}

impl FromStr for Target {
    type Err = Error;

    /// As of a source; also for a header that is not a rule's to set.
    fn from_str(text: &str) -> Result<Self, Error> {
        let (mut cursor, root) = Cursor::begin(text);
        let target = match root {
            "body" => {
                let mut keys = vec![cursor.key()?];
                while !cursor.rest().is_empty() {
                    keys.push(cursor.key()?);
                    cursor.check_depth(keys.len())?;
                }
                Self::Body(keys)
            }
            "header" => {
                let start = cursor.at;
                let name = cursor.header()?;
                if RESERVED.contains(&name.as_str()) {
                    cursor.at = start;
                    return Err(cursor.expected("a header that says nothing of the connection or the body"));
                }
                Self::Header(name)
            }
            _ => return Err(cursor.other_root("body or header")),
        };
        cursor.end().map(|()| target)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => write_key(f, key),
            Self::Index(index) => write!(f, "[{index}]"),
            Self::Each => f.write_str("[*]"),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body(steps) => {
                f.write_str("body")?;
                steps.iter().try_for_each(|step| step.fmt(f))
            }
            Self::Header(name) => write_header(f, name),
            Self::Query(key) => {
                f.write_str("query")?;
                write_key(f, key)
            }
            Self::Path => f.write_str("path"),
            Self::Method => f.write_str("method"),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body(keys) => {
                f.write_str("body")?;
                keys.iter().try_for_each(|key| write_key(f, key))
            }
            Self::Header(name) => write_header(f, name),
        }
    }
}

fn write_header(f: &mut fmt::Formatter<'_>, name: &HeaderName) -> fmt::Result {
    f.write_str("header")?;
    write_key(f, name.as_str())
}

fn write_key(f: &mut fmt::Formatter<'_>, key: &str) -> fmt::Result {
    if !key.is_empty() && key.chars().all(is_bare) {
        write!(f, ".{key}")
    } else {
        write!(f, "[{}]", serde_json::Value::from(key))
    }
}

fn is_bare(character: char) -> bool {
    !matches!(character, '.' | '[' | ']' | '"' | '*') && !character.is_whitespace() && !character.is_control()
}

struct Cursor<'a> {
    text: &'a str,
    /// In bytes.
    at: usize,
}

impl<'a> Cursor<'a> {
    /// Behind the root, which is returned.
    fn begin(text: &'a str) -> (Self, &'a str) {
        let mut cursor = Self { text, at: 0 };
        let root = cursor.bare();
        (cursor, root)
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn bare(&mut self) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|character| !is_bare(character)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    fn steps(&mut self) -> Result<Vec<Step>, Error> {
        let mut steps = Vec::new();
        while !self.rest().is_empty() {
            steps.push(self.step()?);
            self.check_depth(steps.len())?;
        }
        Ok(steps)
    }

    fn step(&mut self) -> Result<Step, Error> {
        if !self.rest().starts_with('[') || self.rest().starts_with("[\"") {
            return self.key().map(Step::Key);
        }
        self.at += 1;
        let step = if self.take("*") { Step::Each } else { Step::Index(self.index()?) };
        if self.take("]") { Ok(step) } else { Err(self.expected("']'")) }
    }

    fn index(&mut self) -> Result<usize, Error> {
        let digits = self.rest().bytes().take_while(u8::is_ascii_digit).count();
        let index = self.rest()[..digits].parse::<u32>();
        let index = index.map_err(|_| self.expected("an index, a key in quotes, or '*'"))?;
        self.at += digits;
        Ok(index as usize)
    }

    fn key(&mut self) -> Result<Box<str>, Error> {
        if self.take("[") {
            return self.quoted();
        }
        if !self.take(".") {
            return Err(self.expected("'.' or '['"));
        }
        match self.bare() {
            "" => Err(self.expected("a key (others than of plain characters are written [\"KEY\"])")),
            key => Ok(key.into()),
        }
    }

    fn quoted(&mut self) -> Result<Box<str>, Error> {
        let mut strings = serde_json::Deserializer::from_str(self.rest()).into_iter::<String>();
        let key = strings.next().and_then(Result::ok).ok_or_else(|| self.expected("a key in quotes"))?;
        self.at += strings.byte_offset();
        if self.take("]") { Ok(key.into()) } else { Err(self.expected("']'")) }
    }

    fn header(&mut self) -> Result<HeaderName, Error> {
        let start = self.at;
        let name = self.key()?;
        name.parse().map_err(|_| {
            self.at = start;
            self.expected("a header's name")
        })
    }

    fn check_depth(&self, steps: usize) -> Result<(), Error> {
        if steps <= MAX_STEPS { Ok(()) } else { Err(self.expected(&format!("{MAX_STEPS} steps at most"))) }
    }

    fn end(&self) -> Result<(), Error> {
        if self.rest().is_empty() { Ok(()) } else { Err(self.expected("the end")) }
    }

    fn other_root(mut self, what: &str) -> Error {
        self.at = 0;
        self.expected(what)
    }

    fn expected(&self, what: &str) -> Error {
        let found = match self.rest() {
            "" => "the end".to_owned(),
            rest => format!("'{}'", rest.chars().take(20).collect::<String>()),
        };
        let character = self.text[..self.at].chars().count() + 1;
        Error::invalid(format!(
            "'{}': found {found} at character {character}, expected {what}",
            self.text.chars().take(200).collect::<String>()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn source(text: &str) -> Source {
        text.parse().unwrap()
    }

    fn key(text: &str) -> Step {
        Step::Key(text.into())
    }

    #[test]
    fn sources_are_read() {
        assert_eq!(source("body"), Source::Body(vec![]));
        assert_eq!(source("body.a.b[0]"), Source::Body(vec![key("a"), key("b"), Step::Index(0)]));
        assert_eq!(source("body.items[*].price"), Source::Body(vec![key("items"), Step::Each, key("price")]));
        assert_eq!(source(r#"body["a.b"].c["\u00e9"]"#), Source::Body(vec![key("a.b"), key("c"), key("é")]));
        assert_eq!(source("body[*]"), Source::Body(vec![Step::Each]));
        assert_eq!(source("header.X-Tier"), Source::Header(HeaderName::from_static("x-tier")));
        assert_eq!(source(r#"query["user.id"]"#), Source::Query("user.id".into()));
        assert_eq!((source("path"), source("method")), (Source::Path, Source::Method));
        assert!(source("body.a[*]").is_list() && !source("body.a[0]").is_list());
    }

    #[test]
    fn targets_are_read() {
        assert_eq!("body.a.b".parse(), Ok(Target::Body(vec!["a".into(), "b".into()])));
        assert_eq!("header.x-risk".parse(), Ok(Target::Header(HeaderName::from_static("x-risk"))));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (text, message) in [
            ("", "'': found the end at character 1, expected body, header, query, path or method"),
            ("boddy.a", "found 'boddy.a' at character 1, expected body, header"),
            ("body.", "found the end at character 6, expected a key"),
            ("body..a", "found '.a' at character 6, expected a key"),
            ("body.é[x]", "found 'x]' at character 8, expected an index, a key in quotes, or '*'"),
            ("body.a[1", "found the end at character 9, expected ']'"),
            ("body.a[*", "found the end at character 9, expected ']'"),
            ("body.a[99999999999]", "found '99999999999]' at character 8, expected an index"),
            ("body[\"a]", "found '\"a]' at character 6, expected a key in quotes"),
            ("body[\"a\"", "found the end at character 9, expected ']'"),
            ("body.a b", "found ' b' at character 7, expected '.' or '['"),
            ("body.*", "found '*' at character 6, expected a key"),
            ("query", "found the end at character 6, expected '.' or '['"),
            ("query.a.b", "found '.b' at character 8, expected the end"),
            ("path.a", "found '.a' at character 5, expected the end"),
            ("header[\"x y\"]", "found '[\"x y\"]' at character 7, expected a header's name"),
        ] {
            let error = text.parse::<Source>().unwrap_err();
            assert!(error.message.contains(message), "{text}: {error}");
        }
        for (text, message) in [
            ("body", "found the end at character 5, expected '.' or '['"),
            ("body.a[0]", "found '0]' at character 8, expected a key in quotes"),
            ("query.a", "found 'query.a' at character 1, expected body or header"),
            ("header.Content-Length", "found '.Content-Length' at character 7, expected a header that says"),
        ] {
            let error = text.parse::<Target>().unwrap_err();
            assert!(error.message.contains(message), "{text}: {error}");
        }
        let deep = format!("body{}", ".a".repeat(33));
        assert!(deep.parse::<Source>().unwrap_err().message.ends_with("expected 32 steps at most"));
        assert!(deep.parse::<Target>().is_err());
    }

    fn step() -> impl Strategy<Value = Step> {
        let keys = prop_oneof![".*", "[a-z-]{1,6}"];
        prop_oneof![
            keys.prop_map(|key| Step::Key(key.into())),
            any::<u32>().prop_map(|index| Step::Index(index as usize)),
            Just(Step::Each),
        ]
    }

    proptest! {
        #[test]
        fn a_source_is_what_it_is_written_as(steps in prop::collection::vec(step(), 0..8), query in ".*") {
            for source in [Source::Body(steps.clone()), Source::Query(query.clone().into())] {
                prop_assert_eq!(source.to_string().parse::<Source>().unwrap(), source);
            }
        }

        #[test]
        fn a_target_is_what_it_is_written_as(
            keys in prop::collection::vec(".*", 1..8),
            name in "x-[a-z-]{0,8}",
        ) {
            let keys = keys.into_iter().map(Into::into).collect();
            for target in [Target::Body(keys), Target::Header(name.parse().unwrap())] {
                prop_assert_eq!(target.to_string().parse::<Target>().unwrap(), target);
            }
        }

        #[test]
        fn anything_else_is_refused_or_read_the_same_again(
            text in r#"(body|query|header|path)?[.\[\]"*a0\\ é]{0,12}"#,
        ) {
            if let Ok(source) = text.parse::<Source>() {
                prop_assert_eq!(source.to_string().parse::<Source>().unwrap(), source);
            }
        }
    }
}
