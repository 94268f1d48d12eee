//! Settings of the TensorRT provider: ONNX Runtime's own, and Triton's words for some of them.

use super::Settings;
use infermesh_wire::Error;

pub fn settings(given: Settings, device: i32) -> Result<Settings, Error> {
    let mut settings = Settings::from([("device_id".to_owned(), device.to_string())]);
    for (key, value) in given {
        let own = match (key.as_str(), value.as_str()) {
            ("precision_mode", "FP32") => continue,
            ("precision_mode", "FP16") => ("trt_fp16_enable", "1"),
            ("precision_mode", "INT8") => ("trt_int8_enable", "1"),
            ("precision_mode", _) => {
                return Err(Error::invalid(format!(
                    "precision_mode of tensorrt is '{value}', expected FP32, FP16 or INT8"
                )));
            }
            ("max_workspace_size_bytes", bytes) => ("trt_max_workspace_size", bytes),
            ("int8_calibration_table_name", table) => ("trt_int8_calibration_table_name", table),
            ("int8_use_native_calibration_table", native) => {
                ("trt_int8_use_native_calibration_table", native)
            }
            (own, value) => (own, value),
        };
        settings.insert(own.0.to_owned(), own.1.to_owned());
    }
    Ok(settings)
}
