//! Takes what rules ask for out of a message. All rules of a route share one pass over its JSON body, which
//! is not made before a value of the body is needed, and keeps nothing but what is asked for.

use super::path::{Source, Step};
use http::{HeaderMap, header::CONTENT_ENCODING};
use infermesh_wire::Error;
use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use std::{
    borrow::Cow,
    cell::{Cell, OnceCell},
    fmt,
};

/// What `[*]` may find in one body, of all sources together: rows of a request that has some tens of
/// milliseconds. Longer vectors are taken whole (`body.features`).
const MAX_EACH: usize = 4096;

/// A request, or an answer with its own headers and body and the rest of its request.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    pub method: &'a str,
    /// Without the query.
    pub path: &'a str,
    pub query: &'a str,
    pub headers: &'a HeaderMap,
    /// Empty where no rule reads it.
    pub body: &'a [u8],
}

/// What is asked for by the rules of one route.
#[derive(Debug, Default)]
pub struct Sources {
    body: Node,
}

impl Sources {
    pub fn add(&mut self, source: &Source) {
        if let Source::Body(steps) = source {
            self.body.add(steps);
        }
    }

    /// Does no work yet.
    pub fn read<'a>(&'a self, view: View<'a>) -> Values<'a> {
        Values { sources: self, view, body: OnceCell::new() }
    }
}

/// What one message has of it.
#[derive(Debug)]
pub struct Values<'a> {
    sources: &'a Sources,
    view: View<'a>,
    body: OnceCell<Result<Pruned<'a>, Error>>,
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Found<'a> {
    /// The message does not have it.
    Nothing,
    /// Of a header, the query, the path: plain text.
    Text(Cow<'a, str>),
    /// Of the body, as it is written there.
    Json(&'a str),
    /// One for each element of a list.
    Each(Vec<Self>),
}

impl<'a> Values<'a> {
    /// Of a source that was added.
    ///
    /// Fails with INVALID_ARGUMENT if the body is no JSON or has too many values for `[*]`, or a header is no
    /// text. What leads through something that is no object or list finds nothing.
    pub fn get(&self, source: &Source) -> Result<Found<'a>, Error> {
        let text = |text: Option<Cow<'a, str>>| text.map_or(Found::Nothing, Found::Text);
        Ok(match source {
            Source::Body(steps) => {
                let body = self.body.get_or_init(|| read_body(self.view, &self.sources.body));
                find(&self.sources.body, body.as_ref().map_err(Clone::clone)?, steps)
            }
            Source::Header(name) => {
                let value = self.view.headers.get(name).map(|value| str::from_utf8(value.as_bytes()));
                let value = value.transpose();
                text(
                    value
                        .map_err(|_| Error::invalid(format!("header '{name}' is not UTF-8 text")))?
                        .map(Cow::from),
                )
            }
            Source::Query(key) => {
                let mut pairs = form_urlencoded::parse(self.view.query.as_bytes());
                text(pairs.find(|(name, _)| *name == **key).map(|(_, value)| value))
            }
            Source::Path => Found::Text(self.view.path.into()),
            Source::Method => Found::Text(self.view.method.into()),
        })
    }
}

/// Fails with INVALID_ARGUMENT for a body that has to be decoded before it can be read or changed.
pub fn check_encoding(headers: &HeaderMap) -> Result<(), Error> {
    match headers.get(CONTENT_ENCODING).filter(|value| *value != "identity") {
        None => Ok(()),
        Some(found) => Err(Error::invalid(format!(
            "the body is encoded: found content-encoding {found:?}, expected JSON as it is"
        ))),
    }
}

fn read_body<'a>(view: View<'a>, node: &Node) -> Result<Pruned<'a>, Error> {
    check_encoding(view.headers)?;
    let walk = Walk { node, room: &Cell::new(MAX_EACH) };
    walk.document(text_of(view.body)?).map_err(|error| no_json(&error))
}

/// Fails with INVALID_ARGUMENT for what cannot be JSON.
pub fn text_of(body: &[u8]) -> Result<&str, Error> {
    if body.is_empty() {
        return Err(Error::invalid("the body is empty, expected JSON"));
    }
    str::from_utf8(body).map_err(|error| Error::invalid(format!("the body is not JSON: {error}")))
}

pub fn no_json(error: &serde_json::Error) -> Error {
    let what = if error.is_data() { "the body cannot be used" } else { "the body is not JSON" };
    Error::invalid(format!("{what}: {error}"))
}

/// What is asked for below one place in a document.
#[derive(Debug, Default)]
struct Node {
    /// Whether the value here is asked for.
    is_wanted: bool,
    keys: Vec<(Box<str>, Node)>,
    items: Vec<(usize, Node)>,
    each: Option<Box<Node>>,
}

impl Node {
    fn add(&mut self, steps: &[Step]) {
        let Some((step, rest)) = steps.split_first() else {
            self.is_wanted = true;
            return;
        };
        let next = match step {
            Step::Key(key) => child(&mut self.keys, key),
            Step::Index(index) => child(&mut self.items, index),
            Step::Each => self.each.get_or_insert_default(),
        };
        next.add(rest);
    }

    fn is_leaf(&self) -> bool {
        self.keys.is_empty() && self.items.is_empty() && self.each.is_none()
    }
}

fn child<'n, K: PartialEq + Clone>(children: &'n mut Vec<(K, Node)>, key: &K) -> &'n mut Node {
    let at = children.iter().position(|(it, _)| it == key).unwrap_or(children.len());
    if at == children.len() {
        children.push((key.clone(), Node::default()));
    }
    &mut children[at].1
}

/// What a document has of a node; the lists are as the node's.
#[derive(Debug, Default)]
struct Pruned<'a> {
    text: Option<&'a str>,
    keys: Vec<Option<Pruned<'a>>>,
    items: Vec<Option<Pruned<'a>>>,
    /// Absent where there is no list.
    each: Option<Vec<Pruned<'a>>>,
}

fn find<'a>(node: &Node, pruned: &Pruned<'a>, steps: &[Step]) -> Found<'a> {
    let Some((step, rest)) = steps.split_first() else {
        return pruned.text.map_or(Found::Nothing, Found::Json);
    };
    match step {
        Step::Key(key) => below(&node.keys, &pruned.keys, key, rest),
        Step::Index(index) => below(&node.items, &pruned.items, index, rest),
        Step::Each => node.each.as_ref().zip(pruned.each.as_ref()).map(|(node, elements)| {
            Found::Each(elements.iter().map(|element| find(node, element, rest)).collect())
        }),
    }
    .unwrap_or(Found::Nothing)
}

fn below<'a, K: PartialEq>(
    nodes: &[(K, Node)],
    found: &[Option<Pruned<'a>>],
    key: &K,
    rest: &[Step],
) -> Option<Found<'a>> {
    let ((_, node), pruned) = nodes.iter().zip(found).find(|((it, _), _)| it == key)?;
    Some(find(node, pruned.as_ref()?, rest))
}

/// Reads a document, and of it what its node asks for.
#[derive(Clone, Copy)]
struct Walk<'n> {
    node: &'n Node,
    /// What `[*]` may still find.
    room: &'n Cell<usize>,
}

impl<'n> Walk<'n> {
    fn document<'a>(self, text: &'a str) -> serde_json::Result<Pruned<'a>> {
        let text = text.trim_matches([' ', '\t', '\n', '\r']);
        let mut reader = serde_json::Deserializer::from_str(text);
        let below = match text.as_bytes().first() {
            Some(b'{') => reader.deserialize_map(self)?,
            Some(b'[') => reader.deserialize_seq(self)?,
            _ => IgnoredAny::deserialize(&mut reader).map(|_| Pruned::default())?,
        };
        reader.end()?;
        Ok(Pruned { text: self.node.is_wanted.then_some(text), ..below })
    }

    /// What stands within the document is one itself, and known to be JSON.
    fn value<'a, E: serde::de::Error>(self, node: &'n Node, value: &'a RawValue) -> Result<Pruned<'a>, E> {
        if node.is_leaf() {
            return Ok(Pruned { text: Some(value.get()), ..Pruned::default() });
        }
        Self { node, ..self }.document(value.get()).map_err(E::custom)
    }

    fn element<'a, E: serde::de::Error>(self, node: &'n Node, value: &'a RawValue) -> Result<Pruned<'a>, E> {
        let left = self.room.get().checked_sub(1);
        let left = left.ok_or_else(|| E::custom(format_args!("'[*]' finds more than {MAX_EACH} values")))?;
        self.room.set(left);
        self.value(node, value)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = Pruned<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a list")
    }

    /// Of keys that are there twice the last counts, as nearly everywhere.
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut pruned = Pruned::default();
        pruned.keys.resize_with(self.node.keys.len(), || None);
        while let Some(at) = members.next_key_seed(Which(&self.node.keys))? {
            match at {
                Some(at) => pruned.keys[at] = Some(self.value(&self.node.keys[at].1, members.next_value()?)?),
                None => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(pruned)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut each = Vec::new();
        let mut items: Vec<_> = self.node.items.iter().map(|_| None).collect();
        let mut index = 0;
        while let Some(element) = elements.next_element::<&RawValue>()? {
            if let Some(at) = self.node.items.iter().position(|(it, _)| *it == index) {
                items[at] = Some(self.value(&self.node.items[at].1, element)?);
            }
            if let Some(node) = &self.node.each {
                each.push(self.element(node, element)?);
            }
            index += 1;
        }
        Ok(Pruned { items, each: Some(each), ..Pruned::default() })
    }
}

/// Which of the keys the next one is, if any.
struct Which<'n>(&'n [(Box<str>, Node)]);

impl<'de> DeserializeSeed<'de> for Which<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for Which<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|(it, _)| **it == *key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const BODY: &str = r#"{"a": {"b": [12.50, "x"], "n": null}, "items": [{"p": 1}, {"q": 2}, 3, {"p": [4]}],
        "s": "\u0061", "a.b": 12345678901234567890123, "huge": 1e999}"#;

    fn view(body: &str) -> View<'_> {
        static NONE: std::sync::LazyLock<HeaderMap> = std::sync::LazyLock::new(HeaderMap::new);
        View {
            method: "POST",
            path: "/orders",
            query: "z=a%20b+c&z=2&e=&x.y=1",
            headers: &NONE,
            body: body.as_bytes(),
        }
    }

    /// Read together with all other sources of the test, as those of a route are.
    fn look(view: View<'_>, texts: &[&str]) -> Vec<Result<String, String>> {
        let all: Vec<Source> = texts.iter().map(|text| text.parse().unwrap()).collect();
        let mut sources = Sources::default();
        all.iter().for_each(|source| sources.add(source));
        let values = sources.read(view);
        let say =
            |source| values.get(source).map(|found| said(&found)).map_err(|error| error.message.into_owned());
        all.iter().map(say).collect()
    }

    fn said(found: &Found<'_>) -> String {
        match found {
            Found::Nothing => "-".into(),
            Found::Text(text) => format!("'{text}'"),
            Found::Json(json) => (*json).into(),
            Found::Each(each) => format!("<{}>", each.iter().map(said).collect::<Vec<_>>().join(" ")),
        }
    }

    #[test]
    fn values_are_taken_as_they_are_written() {
        let expected = [
            ("body.a.b[0]", "12.50"),
            ("body.a.b", r#"[12.50, "x"]"#),
            ("body.a.b[2]", "-"),
            ("body.a.n", "null"),
            ("body.a.n.x", "-"),
            ("body.items[*].p", "<1 - - [4]>"),
            ("body.items[3].p[*]", "<4>"),
            ("body.items[*]", r#"<{"p": 1} {"q": 2} 3 {"p": [4]}>"#),
            ("body.items[*].p[*]", "<- - - <4>>"),
            ("body.a[*]", "-"),
            ("body.s", r#""\u0061""#),
            (r#"body["a.b"]"#, "12345678901234567890123"),
            ("body.none", "-"),
        ];
        let found = look(view(BODY), &expected.map(|(text, _)| text));
        assert_eq!(found, expected.map(|(_, value)| Ok(value.to_owned())));
        assert_eq!(look(view("[[1, 2], [3]]"), &["body[*][*]"]), [Ok("<<1 2> <3>>".to_owned())]);
        assert_eq!(look(view(" 7 "), &["body"]), [Ok("7".to_owned())]);
    }

    #[test]
    fn keys_are_compared_without_their_escapes_and_the_last_counts() {
        let body = r#"{"\u0061": 1, "b": {"c": 1}, "a": 2, "b": {}}"#;
        assert_eq!(look(view(body), &["body.a", "body.b.c"]), [Ok("2".to_owned()), Ok("-".to_owned())]);
    }

    #[test]
    fn headers_and_the_query_are_texts() {
        let headers = HeaderMap::from_iter([
            ("x-tier".parse().unwrap(), HeaderValue::from_static("gold")),
            ("x-raw".parse().unwrap(), HeaderValue::from_bytes(b"\xff").unwrap()),
        ]);
        let view = View { headers: &headers, ..view("no JSON, and nobody minds") };
        let found = look(
            view,
            &["header.X-Tier", "header.x", "query.z", "query.e", r#"query["x.y"]"#, "path", "method"],
        );
        let expected = ["'gold'", "-", "'a b c'", "''", "'1'", "'/orders'", "'POST'"];
        assert_eq!(found, expected.map(|text| Ok(text.to_owned())));
        assert_eq!(look(view, &["header.x-raw"]), [Err("header 'x-raw' is not UTF-8 text".to_owned())]);
    }

    #[test]
    fn what_is_no_json_is_said() {
        for (body, message) in [
            ("", "the body is empty, expected JSON"),
            ("amount=3", "the body is not JSON: expected value at line 1 column 1"),
            (r#"{"a": 1} x"#, "the body is not JSON: trailing characters at line 1 column 10"),
            (r#"{"a": 1"#, "the body is not JSON: EOF while parsing an object at line 1 column 7"),
        ] {
            assert_eq!(look(view(body), &["body.a"]), [Err(message.to_owned())]);
        }
        let headers = HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static("gzip"))]);
        let found = look(View { headers: &headers, ..view("{}") }, &["body.a"]);
        assert!(found[0].as_ref().unwrap_err().contains(r#"found content-encoding "gzip""#), "{found:?}");
    }

    #[test]
    fn a_long_list_is_not_taken_apart() {
        let body = format!(r#"{{"a": [{}0]}}"#, "0,".repeat(MAX_EACH));
        let found = look(view(&body), &["body.a[*]"]);
        assert!(found[0].as_ref().unwrap_err().contains("'[*]' finds more than 4096 values"), "{found:?}");
        assert!(look(view(&body), &["body.a"])[0].is_ok());
    }
}
