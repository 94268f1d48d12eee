//! The page that shows the picture to people, as files that the proxy's owner has.

use http::{HeaderMap, HeaderName, HeaderValue};
use std::{collections::HashMap, path::PathBuf};

/// What a browser gets of this proxy. Nothing of a request's path comes near the file system: `files` has all there are.
#[derive(Debug, Default)]
pub struct Page {
    /// Of every answer that a browser gets, also those that are no file.
    pub headers: HeaderMap,
    /// By path, `/` among them.
    pub files: HashMap<String, File>,
}

#[derive(Debug)]
pub struct File {
    pub path: PathBuf,
    pub headers: HeaderMap,
}

/// Names and values.
pub type Headers = Vec<(String, String)>;

/// Fails with the name of the header that is none.
pub fn headers(given: Headers) -> Result<HeaderMap, String> {
    let parsed = given.into_iter().map(|(name, value)| {
        let header = (HeaderName::try_from(&name).ok()).zip(HeaderValue::try_from(value).ok());
        header.ok_or_else(|| format!("header '{name}' or its value is none"))
    });
    parsed.collect()
}
