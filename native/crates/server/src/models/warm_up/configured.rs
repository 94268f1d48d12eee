//! One entry of `model_warmup`.

use super::fill::{Fill, repeat, tensor};
use crate::models::Port;
use infermesh_batcher::{Rehearsal, Tensor};
use infermesh_wire::{
    DataType, Error, Shape,
    datatype::elements,
    proto::inference::{
        ModelConfig, ModelWarmup,
        model_warmup::{Input, input::InputDataType},
    },
};
use std::{
    fs,
    path::{Component, Path},
};

/// Where a model keeps the files that its warm-up names.
const FOLDER: &str = "warmup";

pub fn rehearsal(
    index: usize,
    warm_up: &ModelWarmup,
    config: &ModelConfig,
    ports: &[Port],
    directory: &Path,
) -> Result<Rehearsal, Error> {
    let name = match warm_up.name.as_str() {
        "" => (index + 1).to_string(),
        name => name.to_owned(),
    };
    build(name.clone(), warm_up, config, ports, directory)
        .map_err(|what| Error::invalid(format!("model_warmup '{name}': {what}")))
}

fn build(
    name: String,
    warm_up: &ModelWarmup,
    config: &ModelConfig,
    ports: &[Port],
    directory: &Path,
) -> Result<Rehearsal, String> {
    let (rows, most) = (warm_up.batch_size.max(1), config.max_batch_size.max(1) as u32);
    if rows > most {
        return Err(format!("batch_size is {rows}, expected 1 to {most}"));
    }
    if let Some(unknown) = warm_up.inputs.keys().find(|key| ports.iter().all(|port| port.name != **key)) {
        return Err(format!("the model has no input '{unknown}'"));
    }
    let rows = rows as usize;
    let batched = config.max_batch_size > 0;
    let inputs = ports
        .iter()
        .map(|port| {
            let given = match warm_up.inputs.get(&port.name) {
                Some(given) => given,
                None if port.optional => return Ok(Tensor::absent()),
                None => return Err(format!("input '{}' is missing", port.name)),
            };
            input(given, port, batched.then_some(rows), directory)
                .map_err(|what| format!("input '{}': {what}", port.name))
        })
        .collect::<Result<_, _>>()?;
    let decoupled = config.model_transaction_policy.is_some_and(|policy| policy.decoupled);
    Ok(Rehearsal { name, inputs, rows, count: warm_up.count.max(1), required: true, decoupled })
}

/// `rows` of it where the model batches.
fn input(given: &Input, port: &Port, rows: Option<usize>, directory: &Path) -> Result<Tensor, String> {
    if DataType::from_config(given.data_type) != Some(port.datatype) {
        let found = DataType::from_config(given.data_type).map_or("none", DataType::name);
        return Err(format!("data_type is {found}, expected {}", port.datatype.name()));
    }
    let expected = &port.shape[usize::from(rows.is_some())..];
    let fits = given.dims.len() == expected.len()
        && given.dims.iter().zip(expected).all(|(&dim, &wanted)| dim >= 0 && (wanted == dim || wanted == -1));
    if !fits {
        return Err(format!("dims are {:?}, expected {expected:?} with every size fixed", given.dims));
    }
    let batch = rows.map(|rows| rows as i64);
    let shape: Shape = batch.into_iter().chain(given.dims.iter().copied()).collect();
    match &given.input_data_type {
        Some(InputDataType::ZeroData(_)) => Ok(tensor(port.datatype, shape, Fill::Zeros)),
        Some(InputDataType::RandomData(_)) => Ok(tensor(port.datatype, shape, Fill::Random)),
        Some(InputDataType::InputDataFile(file)) => {
            let row = read(file, port.datatype, given.dims.iter().product::<i64>() as usize, directory)?;
            Ok(repeat(&row, rows.unwrap_or(1), shape))
        }
        None => Err("found no data, expected zero_data, random_data or input_data_file".into()),
    }
}

/// The bytes of one row of `count` elements.
fn read(file: &str, datatype: DataType, count: usize, directory: &Path) -> Result<Vec<u8>, String> {
    // A model's configuration may come from a client: it names files of this model and no others.
    if !matches!(Path::new(file).components().collect::<Vec<_>>()[..], [Component::Normal(_)]) {
        return Err(format!("input_data_file is '{file}', expected the name of a file in {FOLDER}/"));
    }
    let path = directory.join(FOLDER).join(file);
    let bytes = fs::read(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let found = match datatype.size() {
        Some(size) if bytes.len() == count * size => return Ok(bytes),
        Some(size) => format!("{} bytes, expected {}", bytes.len(), count * size),
        None => {
            let strings = elements(&bytes).try_fold(0, |count, element| element.map(|_| count + 1));
            if strings == Some(count) {
                return Ok(bytes);
            }
            strings.map_or("a string that is cut short".into(), |found| {
                format!("{found} strings, expected {count}")
            })
        }
    };
    Err(format!("{} holds {found}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn config() -> ModelConfig {
        ModelConfig { max_batch_size: 4, ..Default::default() }
    }

    fn ports() -> Vec<Port> {
        let port = |name: &str, datatype, shape: &[i64]| Port {
            name: name.into(),
            datatype,
            optional: false,
            classes: Vec::new(),
            shape: shape.iter().copied().collect(),
        };
        vec![port("x", DataType::Fp32, &[-1, -1]), port("t", DataType::Bytes, &[-1, 1])]
    }

    fn given(datatype: DataType, dims: &[i64], data: InputDataType) -> Input {
        Input { data_type: datatype.to_config() as i32, dims: dims.to_vec(), input_data_type: Some(data) }
    }

    fn warm_up(x: Input, t: Input) -> ModelWarmup {
        ModelWarmup {
            name: "w".into(),
            batch_size: 3,
            inputs: HashMap::from([("x".into(), x), ("t".into(), t)]),
            count: 0,
        }
    }

    fn zeros() -> Input {
        given(DataType::Fp32, &[2], InputDataType::ZeroData(true))
    }

    fn text() -> Input {
        given(DataType::Bytes, &[1], InputDataType::RandomData(true))
    }

    fn refused(warm_up: &ModelWarmup) -> String {
        rehearsal(0, warm_up, &config(), &ports(), Path::new("/absent")).unwrap_err().message.into_owned()
    }

    #[test]
    fn free_dimensions_take_the_size_that_is_given() {
        let built = rehearsal(0, &warm_up(zeros(), text()), &config(), &ports(), Path::new("/")).unwrap();
        assert_eq!((built.rows, built.count, built.required), (3, 1, true));
        assert_eq!((&built.inputs[0].shape[..], built.inputs[0].data.len()), (&[3, 2][..], 24));
        assert_eq!((&built.inputs[1].shape[..], built.inputs[1].data.len()), (&[3, 1][..], 12));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let whole = warm_up(zeros(), text());
        let too_large = ModelWarmup { batch_size: 5, ..whole.clone() };
        assert_eq!(refused(&too_large), "model_warmup 'w': batch_size is 5, expected 1 to 4");
        let mut missing = whole.clone();
        missing.inputs.remove("t");
        assert_eq!(refused(&missing), "model_warmup 'w': input 't' is missing");
        let mut unknown = whole.clone();
        unknown.inputs.insert("z".into(), zeros());
        assert_eq!(refused(&unknown), "model_warmup 'w': the model has no input 'z'");
        let dims = warm_up(given(DataType::Fp32, &[-1], InputDataType::ZeroData(true)), text());
        assert!(refused(&dims).ends_with("dims are [-1], expected [-1] with every size fixed"));
        let datatype = warm_up(given(DataType::Int8, &[2], InputDataType::ZeroData(true)), text());
        assert!(refused(&datatype).ends_with("data_type is INT8, expected FP32"));
        let nothing = warm_up(Input { input_data_type: None, ..zeros() }, text());
        assert!(refused(&nothing).contains("found no data"));
        let outside = InputDataType::InputDataFile("../secret".into());
        assert!(refused(&warm_up(given(DataType::Fp32, &[2], outside), text())).contains("../secret"));
        let absent = InputDataType::InputDataFile("file".into());
        assert!(
            refused(&warm_up(given(DataType::Fp32, &[2], absent), text())).contains("/absent/warmup/file")
        );
    }
}
