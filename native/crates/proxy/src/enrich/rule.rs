//! One enrichment, from its configuration to what it does with a message.
//!
//! ```text
//! Rule::new ── once, with the Sources of all rules of a route
//! Rule::bind ─ once for what a model says of itself
//! Sources::read ─ Rule::request ──────────────────────────────┐
//!              └─ Rule::call ── function ── Rule::transformed ┴─ model ── Rule::take ── Placed
//! ```

use super::{
    extract::{Field, Filling, Head, encode, fill, untransformed},
    gather::Layout,
    place::{Placed, Placement},
    ports::{Port, Ports},
    select::{Found, Sources, Values},
    transform::{Call, Reply, check_function},
};
use crate::proto::Enrichment;
use bytes::Bytes;
use infermesh_wire::{
    Error,
    proto::inference::{ModelInferResponse, ModelMetadataResponse},
};

/// What a model is asked about a message, and what becomes of its answer.
#[derive(Debug, Clone)]
pub struct Rule {
    name: String,
    head: Head,
    fields: Vec<Field>,
    transform: Option<String>,
    placement: Placement,
}

impl Rule {
    /// Adds what it reads to `sources`: those of all rules that look at the same messages.
    ///
    /// Fails with INVALID_ARGUMENT, and the field of the configuration that is wrong in front.
    pub fn new(config: &Enrichment, sources: &mut Sources) -> Result<Self, Error> {
        let needed = |found: bool, message| if found { Ok(()) } else { Err(Error::invalid(message)) };
        needed(!config.model.is_empty(), "model: found none, expected a name")?;
        needed(!config.outputs.is_empty(), "outputs: found none, expected one at least")?;
        let transform = Some(config.transform.clone()).filter(|function| !function.is_empty());
        match &transform {
            Some(function) => check_function(function)?,
            None => needed(!config.inputs.is_empty(), "inputs: found none, expected one at least")?,
        }
        let mut fields: Vec<Field> = Vec::new();
        for (index, input) in config.inputs.iter().enumerate() {
            let wrong = |what: &str| Error::invalid(format!("inputs[{index}].{what}"));
            let field = Field::new(input).map_err(|error| wrong(&error.message))?;
            if fields.iter().any(|other| other.name == field.name) {
                return Err(wrong(&format!("name: found '{}' again, expected another", field.name)));
            }
            if transform.is_some() && field.datatype.is_some() {
                return Err(wrong(
                    "datatype: found one, expected none, because the transform makes the tensors",
                ));
            }
            sources.add(&field.source);
            fields.push(field);
        }
        let placement = Placement::new(&config.outputs)?;
        let head =
            Head { model: config.model.clone(), version: config.version.clone(), outputs: placement.names() };
        Ok(Self { name: config.name.clone(), head, fields, transform, placement })
    }

    /// Whether it reads the body or changes it, so that this has to be there as a whole.
    pub fn needs_body(&self) -> bool {
        self.placement.changes_body() || self.fields.iter().any(|field| field.source.is_body())
    }

    /// `module:function`, if its inputs come from one.
    pub fn transform(&self) -> Option<&str> {
        self.transform.as_deref()
    }

    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    /// Holds the rule against what the model says of its inputs. One that it does not fill may be optional:
    /// the model refuses a request without it otherwise.
    ///
    /// Fails with NOT_FOUND for an input that the model lacks, INVALID_ARGUMENT for another datatype than it
    /// has.
    pub fn bind(&self, metadata: &ModelMetadataResponse) -> Result<Ports, Error> {
        let ports = Ports::of(metadata)?;
        if self.transform.is_some() {
            return Ok(ports);
        }
        let ports = ports.select(self.fields.iter().map(|field| &field.name[..]))?;
        let differs = |(field, port): &(&Field, &Port)| field.datatype.is_some_and(|it| it != port.datatype);
        match self.fields.iter().zip(&ports.0).find(differs) {
            None => Ok(ports),
            Some((field, port)) => Err(Error::invalid(format!(
                "{}: found datatype {}, expected {} as the model has it",
                field.label(),
                field.datatype.map_or("", |datatype| datatype.name()),
                port.datatype.name()
            ))),
        }
    }

    /// The serialised `ModelInferRequest` about a message, without gRPC's prefix: what a rule without a
    /// transform sends. Its tensors have `max_bytes` at most.
    ///
    /// Fails with INVALID_ARGUMENT, and the field, if the message has not what the model wants.
    pub fn request(
        &self,
        ports: &Ports,
        values: &Values<'_>,
        id: &str,
        max_bytes: usize,
    ) -> Result<Bytes, Error> {
        let fillings = fill(&self.fields, ports, values, max_bytes)?;
        encode(&self.head, id, ports, fillings, max_bytes)
    }

    /// What the transform is called with. None without one.
    ///
    /// Fails with INVALID_ARGUMENT, and the field, if the message lacks one that has no default.
    pub fn call(&self, ports: &Ports, values: &Values<'_>) -> Result<Option<Call>, Error> {
        let call = |function: &String| {
            Call::new(function, &self.name, &self.head.model, ports, &self.fields, values)
        };
        self.transform.as_ref().map(call).transpose()
    }

    /// The serialised `ModelInferRequest` with what the transform returned.
    ///
    /// Fails with INVALID_ARGUMENT or NOT_FOUND if its tensors are not what the model wants.
    pub fn transformed(
        &self,
        ports: &Ports,
        reply: &Reply,
        id: &str,
        max_bytes: usize,
    ) -> Result<Bytes, Error> {
        reply.check(ports)?;
        let filling = |port: &Port| {
            let Some(json) = reply.tensors.get(&port.name) else { return Ok(None) };
            let layout = Layout { datatype: port.datatype, default: None, max_bytes };
            let values = layout.gather(&Found::Json(json.get()));
            let values = values.map_err(|mismatch| untransformed(port, &mismatch))?;
            Ok(Some(Filling { field: None, values }))
        };
        let fillings = ports.0.iter().map(filling).collect::<Result<_, Error>>()?;
        encode(&self.head, id, ports, fillings, max_bytes)
    }

    /// What the model answered, ready to be put into the message.
    ///
    /// Fails with INTERNAL if it did not answer what is wanted.
    pub fn take(&self, response: &ModelInferResponse) -> Result<Placed<'_>, Error> {
        self.placement.take(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        enrich::View,
        proto::{InputField, OutputField},
    };
    use http::{HeaderMap, HeaderValue};
    use infermesh_wire::proto::inference::{ModelInferRequest, model_metadata_response::TensorMetadata};
    use prost::Message;

    const LIMIT: usize = 1 << 20;
    const BODY: &str =
        r#"{"amount": "12.50", "card": {"country": "DE"}, "items": [{"price": 1}, {"price": 2.5}, {}]}"#;

    /// Fields are `NAME = SOURCE`, with ` or DEFAULT` behind it.
    fn config(fields: &[&str]) -> Enrichment {
        let input = |field: &&str| {
            let (name, source) = field.split_once(" = ").unwrap();
            let (source, default_json) = source.split_once(" or ").unwrap_or((source, ""));
            InputField {
                name: name.into(),
                source: source.into(),
                default_json: default_json.into(),
                ..Default::default()
            }
        };
        let output = OutputField { name: "score".into(), index: 0, target: "body.risk".into() };
        Enrichment {
            name: "fraud check".into(),
            model: "fraud".into(),
            version: "3".into(),
            inputs: fields.iter().map(input).collect(),
            outputs: vec![output],
            ..Default::default()
        }
    }

    fn metadata(inputs: &[(&str, &str, &[i64])]) -> ModelMetadataResponse {
        let tensor = |(name, datatype, shape): &(&str, &str, &[i64])| TensorMetadata {
            name: (*name).into(),
            datatype: (*datatype).into(),
            shape: shape.to_vec(),
        };
        ModelMetadataResponse { inputs: inputs.iter().map(tensor).collect(), ..Default::default() }
    }

    fn with_values<T>(sources: &Sources, then: impl FnOnce(&Values<'_>) -> T) -> T {
        let headers = HeaderMap::from_iter([("x-tier".parse().unwrap(), HeaderValue::from_static("2"))]);
        let view = View {
            method: "POST",
            path: "/orders",
            query: "coupon=1",
            headers: &headers,
            body: BODY.as_bytes(),
        };
        then(&sources.read(view))
    }

    fn asked(fields: &[&str], inputs: &[(&str, &str, &[i64])]) -> Result<ModelInferRequest, String> {
        let mut sources = Sources::default();
        let rule = Rule::new(&config(fields), &mut sources).map_err(|error| error.message.into_owned())?;
        let ports = rule.bind(&metadata(inputs)).map_err(|error| error.message.into_owned())?;
        let request = with_values(&sources, |values| rule.request(&ports, values, "id", LIMIT));
        Ok(ModelInferRequest::decode(request.map_err(|error| error.message.into_owned())?).unwrap())
    }

    fn floats(values: &[f32]) -> Bytes {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    #[test]
    fn a_message_becomes_a_request() {
        let fields = ["country = body.card.country", "amount = body.amount", "tier = header.x-tier"];
        let inputs: [(&str, &str, &[i64]); 4] = [
            ("amount", "FP32", &[-1, 1]),
            ("tier", "INT64", &[-1, 1]),
            ("country", "BYTES", &[-1, 1]),
            ("optional", "FP32", &[-1, 1]),
        ];
        let request = asked(&fields, &inputs).unwrap();
        assert_eq!(
            (&request.model_name[..], &request.model_version[..], &request.id[..]),
            ("fraud", "3", "id")
        );
        let named: Vec<_> =
            request.inputs.iter().map(|input| (&input.name[..], &input.datatype[..])).collect();
        assert_eq!(named, [("country", "BYTES"), ("amount", "FP32"), ("tier", "INT64")]);
        assert!(request.inputs.iter().all(|input| input.shape == [1, 1]));
        let raw = [
            Bytes::from_static(b"\x02\0\0\0DE"),
            floats(&[12.5]),
            Bytes::copy_from_slice(&2i64.to_le_bytes()),
        ];
        assert_eq!(request.raw_input_contents, raw);
        assert_eq!(request.outputs.iter().map(|output| &output.name[..]).collect::<Vec<_>>(), ["score"]);
    }

    #[test]
    fn elements_become_rows_beside_what_is_there_once() {
        let fields = ["price = body.items[*].price or 0", "amount = body.amount"];
        let request = asked(&fields, &[("price", "FP32", &[-1, 1]), ("amount", "FP32", &[-1, 1])]).unwrap();
        assert!(request.inputs.iter().all(|input| input.shape == [3, 1]));
        assert_eq!(request.raw_input_contents, [floats(&[1.0, 2.5, 0.0]), floats(&[12.5; 3])]);
        let request = asked(&fields, &[("price", "FP32", &[-1, 3]), ("amount", "FP32", &[-1, 1])]).unwrap();
        assert_eq!((&request.inputs[0].shape[..], &request.inputs[1].shape[..]), (&[1, 3][..], &[1, 1][..]));
    }

    #[test]
    fn what_a_message_lacks_is_named() {
        let amount: (&str, &str, &[i64]) = ("a", "FP32", &[-1, 1]);
        for (field, input, message) in [
            (
                "a = body.none",
                amount,
                "input 'a' from body.none: found nothing, expected FP32 (or a default)",
            ),
            (
                "a = body.card.country",
                amount,
                "input 'a' from body.card.country: found \"DE\", expected FP32",
            ),
            (
                "a = body.items[*].price",
                amount,
                "input 'a' from body.items[*].price: found nothing, expected FP32 (or",
            ),
            (
                "a = body.amount",
                ("a", "FP32", &[-1, 2]),
                "input 'a' from body.amount: found a single value, expected [-1, 2]",
            ),
            ("a = body.amount", ("b", "FP32", &[-1]), "the model has no input 'a', it has 'b' FP32[-1]"),
            ("a = body.amount", ("a", "FP8", &[-1]), "the model's input 'a' has the unknown datatype 'FP8'"),
        ] {
            let error = asked(&[field], &[input]).unwrap_err();
            assert!(error.starts_with(message), "{error}");
        }
    }

    #[test]
    fn requests_are_bounded() {
        let mut sources = Sources::default();
        let rule =
            Rule::new(&config(&["p = body.items[*].price or 0", "a = body.amount"]), &mut sources).unwrap();
        let ports = rule.bind(&metadata(&[("p", "FP32", &[-1, 1]), ("a", "FP64", &[-1, 1])])).unwrap();
        with_values(&sources, |values| {
            assert!(rule.request(&ports, values, "", 36).is_ok());
            let error = rule.request(&ports, values, "", 35).unwrap_err();
            assert_eq!(error.message, "the inputs are too large: expected 35 bytes at most");
        });
    }

    #[test]
    fn a_function_may_make_the_tensors() {
        let mut sources = Sources::default();
        let transform = "shop.features:of_order".to_owned();
        let fields = ["items = body.items", "prices = body.items[*].price or 0", "tier = header.x-tier"];
        let rule = Rule::new(&Enrichment { transform, ..config(&fields) }, &mut sources).unwrap();
        let ports = rule.bind(&metadata(&[("x", "FP32", &[-1, 2]), ("y", "FP32", &[-1, 1])])).unwrap();
        let call = with_values(&sources, |values| rule.call(&ports, values)).unwrap().unwrap();
        let json: serde_json::Value = serde_json::from_slice(&call.to_json().unwrap()).unwrap();
        let expected = serde_json::json!({
            "function": "shop.features:of_order", "rule": "fraud check", "model": "fraud",
            "inputs": [
                {"name": "x", "datatype": "FP32", "shape": [-1, 2]},
                {"name": "y", "datatype": "FP32", "shape": [-1, 1]},
            ],
            "fields": {"items": [{"price": 1}, {"price": 2.5}, {}], "prices": [1, 2.5, 0], "tier": "2"},
        });
        assert_eq!(json, expected);
        assert!(serde_json::from_value::<Call>(json).is_ok());

        let reply = Reply::parse(br#"{"tensors": {"x": [[1, 2], [3, 4]]}}"#).unwrap();
        let request =
            ModelInferRequest::decode(rule.transformed(&ports, &reply, "id", LIMIT).unwrap()).unwrap();
        assert_eq!((request.inputs.len(), &request.inputs[0].shape[..]), (1, &[2, 2][..]));
        assert_eq!(request.raw_input_contents, [floats(&[1.0, 2.0, 3.0, 4.0])]);
    }

    #[test]
    fn what_a_function_returns_is_held_against_the_model() {
        let mut sources = Sources::default();
        let rule = Rule::new(&Enrichment { transform: "m:f".into(), ..config(&[]) }, &mut sources).unwrap();
        let ports = rule.bind(&metadata(&[("x", "FP32", &[-1, 2])])).unwrap();
        for (reply, message) in [
            (
                r#"{"tensors": {"z": 1}}"#,
                "the transform returned 'z': the model has no input 'z', it has 'x' FP32[-1, 2]",
            ),
            (
                r#"{"tensors": {"x": [1, 2, 3]}}"#,
                "input 'x' from the transform: found values of shape [3], expected [-1, 2]",
            ),
            (r#"{"error": "ValueError: no"}"#, "the transform failed: ValueError: no"),
            (r#"[1]"#, "the transform's reply is not {\"tensors\": {...}}: invalid type"),
        ] {
            let error =
                Reply::parse(reply.as_bytes()).and_then(|reply| rule.transformed(&ports, &reply, "", LIMIT));
            let error = error.unwrap_err().message.into_owned();
            assert!(error.starts_with(message), "{error}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_rule_is_named() {
        let good = || config(&["a = body.a"]);
        let with = |change: &dyn Fn(&mut Enrichment)| {
            let mut config = good();
            change(&mut config);
            Rule::new(&config, &mut Sources::default()).unwrap_err().message.into_owned()
        };
        assert_eq!(with(&|it| it.model.clear()), "model: found none, expected a name");
        assert_eq!(with(&|it| it.outputs.clear()), "outputs: found none, expected one at least");
        assert_eq!(with(&|it| it.inputs.clear()), "inputs: found none, expected one at least");
        assert_eq!(with(&|it| it.transform = "f".into()), "transform: found 'f', expected MODULE:FUNCTION");
        assert_eq!(
            with(&|it| it.transform = "m:2".into()),
            "transform: found 'm:2', expected MODULE:FUNCTION"
        );
        assert_eq!(
            with(&|it| it.inputs[0].name.clear()),
            "inputs[0].name: found none, expected that of an input"
        );
        assert_eq!(
            with(&|it| it.inputs.push(it.inputs[0].clone())),
            "inputs[1].name: found 'a' again, expected another"
        );
        assert!(
            with(&|it| it.inputs[0].source = "a".into())
                .starts_with("inputs[0].source: 'a': found 'a' at character 1")
        );
        assert!(
            with(&|it| it.inputs[0].datatype = "FLOAT".into())
                .starts_with("inputs[0].datatype: found 'FLOAT'")
        );
        assert!(
            with(&|it| it.inputs[0].default_json = "x".into())
                .starts_with("inputs[0].default_json: found 'x'")
        );
        assert!(
            with(&|it| it.inputs[0].default_json = "null".into()).contains("found null, expected a value")
        );
        let both = |it: &mut Enrichment| {
            it.transform = "m:f".into();
            it.inputs[0].datatype = "FP32".into();
        };
        assert!(with(&both).starts_with("inputs[0].datatype: found one, expected none"));
        let mut other = good();
        other.inputs[0].datatype = "INT64".into();
        let rule = Rule::new(&other, &mut Sources::default()).unwrap();
        let error = rule.bind(&metadata(&[("a", "FP32", &[1])])).unwrap_err();
        assert_eq!(
            error.message,
            "input 'a' from body.a: found datatype INT64, expected FP32 as the model has it"
        );
    }

    #[test]
    fn a_rule_says_whether_it_needs_the_body() {
        let needs = |source: &str, target: &str| {
            let mut config = config(&[&format!("a = {source}")]);
            config.outputs[0].target = target.into();
            Rule::new(&config, &mut Sources::default()).unwrap().needs_body()
        };
        assert!(needs("body.a", "header.x") && needs("query.a", "body.a") && !needs("path", "header.x"));
    }
}
