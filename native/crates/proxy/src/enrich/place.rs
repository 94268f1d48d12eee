//! Puts what a model says into a message: a field of its JSON body, or a header.

use super::{path::Target, splice::Places, value::Value};
use crate::proto::OutputField;
use http::{HeaderName, HeaderValue};
use infermesh_wire::{Error, proto::inference::ModelInferResponse};

/// Where the outputs of a rule go.
#[derive(Debug, Clone, Default)]
pub struct Placement {
    outputs: Vec<Output>,
    /// With indexes of `outputs`.
    headers: Vec<(HeaderName, usize)>,
    body: Places,
}

#[derive(Debug, Clone)]
struct Output {
    name: String,
    index: usize,
}

impl Placement {
    /// Fails with INVALID_ARGUMENT, and the place of what is wrong in front.
    pub fn new(config: &[OutputField]) -> Result<Self, Error> {
        let mut placement = Self::default();
        for (index, field) in config.iter().enumerate() {
            placement.add(field).map_err(|error| Error::invalid(format!("outputs[{index}].{error}")))?;
        }
        Ok(placement)
    }

    fn add(&mut self, field: &OutputField) -> Result<(), Error> {
        if field.name.is_empty() {
            return Err(Error::invalid("name: found none, expected that of an output"));
        }
        let target = field.target.parse().map_err(|error| Error::invalid(format!("target: {error}")))?;
        let output = self.outputs.len();
        let is_free = match &target {
            Target::Body(keys) => self.body.add(keys, output),
            Target::Header(name) => {
                let is_free = self.headers.iter().all(|(it, _)| it != name);
                self.headers.push((name.clone(), output));
                is_free
            }
        };
        if !is_free {
            let found = format!("target: found '{target}', which another output takes");
            return Err(Error::invalid(format!("{found}, expected one of its own")));
        }
        self.outputs.push(Output { name: field.name.clone(), index: field.index as usize });
        Ok(())
    }

    /// The outputs that are wanted, each once.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for Output { name, .. } in &self.outputs {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }

    /// The headers that are set: a caller's own of these names has to go, since an app would take it for the
    /// model's.
    pub fn headers(&self) -> impl Iterator<Item = &HeaderName> {
        self.headers.iter().map(|(name, _)| name)
    }

    /// Whether the body changes, and with it its length.
    pub fn changes_body(&self) -> bool {
        !self.body.is_empty()
    }

    /// Fails with INTERNAL if the model did not answer what is wanted.
    pub fn take(&self, response: &ModelInferResponse) -> Result<Placed<'_>, Error> {
        let value = |output: &Output| Value::of(response, &output.name, output.index);
        let values = self.outputs.iter().map(value).collect::<Result<Vec<_>, _>>()?;
        let header = |(name, output): &(HeaderName, usize)| {
            let value = values[*output].to_header();
            value
                .map(|value| (name.clone(), value))
                .map_err(|error| Error::internal(format!("header '{name}': {error}")))
        };
        let headers = self.headers.iter().map(header).collect::<Result<_, _>>()?;
        Ok(Placed { body: &self.body, headers, values })
    }
}

/// What a model said, ready to be put into a message.
#[derive(Debug)]
pub struct Placed<'p> {
    body: &'p Places,
    values: Vec<Value>,
    /// To take the place of what the message has of these names.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl Placed<'_> {
    /// The body with the values in it, every other byte as it was; none if it stays the same.
    ///
    /// Fails with INVALID_ARGUMENT if the body is no JSON object, or has something else than an object on the
    /// way to a field.
    pub fn body(&self, body: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        if self.body.is_empty() {
            return Ok(None);
        }
        let values: Vec<String> = self.values.iter().map(Value::to_json).collect();
        self.body.splice(body, &values).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use infermesh_wire::proto::inference::model_infer_response::InferOutputTensor;

    fn field(name: &str, index: u32, target: &str) -> OutputField {
        OutputField { name: name.into(), index, target: target.into() }
    }

    fn response() -> ModelInferResponse {
        let output = |name: &str, datatype: &str| InferOutputTensor {
            name: name.into(),
            datatype: datatype.into(),
            ..Default::default()
        };
        let scores = [0.25f32.to_le_bytes(), 0.75f32.to_le_bytes()].concat();
        ModelInferResponse {
            outputs: vec![output("scores", "FP32"), output("label", "BYTES")],
            raw_output_contents: vec![scores.into(), b"\x03\0\0\0bad".to_vec().into()],
            ..Default::default()
        }
    }

    #[test]
    fn outputs_go_where_they_are_wanted() {
        let fields = [
            field("scores", 1, "body.risk.score"),
            field("label", 0, "header.X-Risk"),
            field("label", 0, "body.a"),
        ];
        let placement = Placement::new(&fields).unwrap();
        assert_eq!(placement.names(), ["scores", "label"]);
        assert!(placement.changes_body() && placement.headers().eq(["x-risk"]));
        let placed = placement.take(&response()).unwrap();
        assert_eq!(placed.headers, [(HeaderName::from_static("x-risk"), HeaderValue::from_static("bad"))]);
        let body = placed.body(b"{\"n\": 1.0}").unwrap().unwrap();
        assert_eq!(str::from_utf8(&body), Ok(r#"{"n": 1.0,"risk":{"score":0.75},"a":"bad"}"#));
    }

    #[test]
    fn a_body_is_not_looked_at_where_only_headers_are_set() {
        let placement = Placement::new(&[field("label", 0, "header.x")]).unwrap();
        assert_eq!(
            (placement.changes_body(), placement.take(&response()).unwrap().body(b"\xff")),
            (false, Ok(None))
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (fields, message) in [
            (vec![field("", 0, "body.a")], "outputs[0].name: found none, expected that of an output"),
            (
                vec![field("y", 0, "body")],
                "outputs[0].target: 'body': found the end at character 5, expected '.' or '['",
            ),
            (
                vec![field("y", 0, "body.a"), field("y", 1, "body.a.b")],
                "outputs[1].target: found 'body.a.b', which another output takes, expected one of its own",
            ),
            (
                vec![field("y", 0, "header.x"), field("z", 0, "header.X")],
                "outputs[1].target: found 'header.x', which another output takes, expected one of its own",
            ),
        ] {
            assert_eq!(Placement::new(&fields).unwrap_err().message, message);
        }
        let placement = Placement::new(&[field("scores", 2, "body.a")]).unwrap();
        assert!(placement.take(&response()).unwrap_err().message.contains("no element 2"));
    }
}
