//! GPUs, under Triton's names, as NVIDIA's management library sees them. Without the library there are none.

use infermesh_telemetry::metrics::{Text, text::escaped};
use libloading::Library;
use std::{
    ffi::{CStr, c_char, c_int, c_uint, c_void},
    sync::LazyLock,
};

static NVML: LazyLock<Option<Nvml>> = LazyLock::new(Nvml::load);

/// `nvmlReturn_t`: 0 is success.
type Status = c_int;
type Device = *mut c_void;

/// `nvmlMemory_t`, in bytes.
#[repr(C)]
#[derive(Default)]
struct Memory {
    total: u64,
    free: u64,
    used: u64,
}

/// `nvmlUtilization_t`, in per cent.
#[repr(C)]
#[derive(Default)]
struct Utilization {
    gpu: c_uint,
    memory: c_uint,
}

/// Entry points; the library stays loaded for as long as the process lives.
struct Nvml {
    count: unsafe extern "C" fn(*mut c_uint) -> Status,
    handle: unsafe extern "C" fn(c_uint, *mut Device) -> Status,
    uuid: unsafe extern "C" fn(Device, *mut c_char, c_uint) -> Status,
    memory: unsafe extern "C" fn(Device, *mut Memory) -> Status,
    utilization: unsafe extern "C" fn(Device, *mut Utilization) -> Status,
    /// Milliwatts.
    power: unsafe extern "C" fn(Device, *mut c_uint) -> Status,
    power_limit: unsafe extern "C" fn(Device, *mut c_uint) -> Status,
    _library: Library,
}

/// What one GPU does not tell is missing.
#[derive(Default)]
struct Gpu {
    /// Its label.
    label: String,
    utilization: Option<f64>,
    memory_total: Option<u64>,
    memory_used: Option<u64>,
    power_watts: Option<f64>,
    power_limit_watts: Option<f64>,
}

pub fn write(text: &mut Text) {
    let Some(nvml) = &*NVML else { return };
    let gpus = nvml.gpus();
    let mut family = |name: &str, help: &str, value: fn(&Gpu) -> Option<f64>| {
        text.family(name, "gauge", help);
        for gpu in &gpus {
            if let Some(value) = value(gpu) {
                text.sample(name, &gpu.label, value);
            }
        }
    };
    family("nv_gpu_utilization", "GPU utilization rate [0.0 - 1.0)", |it| it.utilization);
    family("nv_gpu_memory_total_bytes", "GPU total memory, in bytes", |it| {
        it.memory_total.map(|it| it as f64)
    });
    family("nv_gpu_memory_used_bytes", "GPU used memory, in bytes", |it| it.memory_used.map(|it| it as f64));
    family("nv_gpu_power_usage", "GPU power usage in watts", |it| it.power_watts);
    family("nv_gpu_power_limit", "GPU power management limit in watts", |it| it.power_limit_watts);
}

impl Nvml {
    fn load() -> Option<Self> {
        // SAFETY: the driver's own library, whose initialisation has no requirements; the types below are those of
        // nvml.h.
        unsafe {
            let library = Library::new("libnvidia-ml.so.1").ok()?;
            let start = *library.get::<unsafe extern "C" fn() -> Status>(b"nvmlInit_v2").ok()?;
            if start() != 0 {
                return None;
            }
            Some(Self {
                count: *library.get(b"nvmlDeviceGetCount_v2").ok()?,
                handle: *library.get(b"nvmlDeviceGetHandleByIndex_v2").ok()?,
                uuid: *library.get(b"nvmlDeviceGetUUID").ok()?,
                memory: *library.get(b"nvmlDeviceGetMemoryInfo").ok()?,
                utilization: *library.get(b"nvmlDeviceGetUtilizationRates").ok()?,
                power: *library.get(b"nvmlDeviceGetPowerUsage").ok()?,
                power_limit: *library.get(b"nvmlDeviceGetEnforcedPowerLimit").ok()?,
                _library: library,
            })
        }
    }

    fn gpus(&self) -> Vec<Gpu> {
        // SAFETY: `count` writes one number.
        let count = unsafe { asked(|value| (self.count)(value)) }.unwrap_or(0);
        (0..count).filter_map(|index| self.gpu(index)).collect()
    }

    fn gpu(&self, index: c_uint) -> Option<Gpu> {
        let mut device: Device = std::ptr::null_mut();
        let mut uuid: [c_char; 96] = [0; 96];
        // SAFETY: the handle is valid after success; every call writes one value of the type it is given, and `uuid`
        // at most as many bytes as it is told, with a zero at the end.
        unsafe {
            if (self.handle)(index, &mut device) != 0
                || (self.uuid)(device, uuid.as_mut_ptr(), uuid.len() as c_uint) != 0
            {
                return None;
            }
            let uuid = CStr::from_ptr(uuid.as_ptr()).to_string_lossy();
            let memory = asked(|value: *mut Memory| (self.memory)(device, value));
            let utilization = asked(|value: *mut Utilization| (self.utilization)(device, value));
            let watts = |milliwatts: Option<c_uint>| milliwatts.map(|it| f64::from(it) / 1000.0);
            Some(Gpu {
                label: format!("gpu_uuid=\"{}\"", escaped(&uuid)),
                utilization: utilization.map(|it| f64::from(it.gpu) / 100.0),
                memory_total: memory.as_ref().map(|it| it.total),
                memory_used: memory.as_ref().map(|it| it.used),
                power_watts: watts(asked(|value| (self.power)(device, value))),
                power_limit_watts: watts(asked(|value| (self.power_limit)(device, value))),
            })
        }
    }
}

/// What a call writes, if it succeeds.
fn asked<T: Default>(call: impl FnOnce(*mut T) -> Status) -> Option<T> {
    let mut value = T::default();
    (call(&mut value) == 0).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_gpu_tells_its_memory_and_nothing_is_said_without_one() {
        let mut text = Text::default();
        write(&mut text);
        let text = String::from(text);
        let Some(nvml) = &*NVML else {
            assert_eq!(text, "");
            return;
        };
        for gpu in nvml.gpus() {
            let (used, total) = (gpu.memory_used.unwrap(), gpu.memory_total.unwrap());
            assert!(gpu.label.starts_with("gpu_uuid=\"GPU-"), "{}", gpu.label);
            assert!(0 < total && used <= total, "{used} of {total}");
            assert!(gpu.utilization.is_some_and(|it| (0.0..=1.0).contains(&it)));
            assert!(gpu.power_watts.is_some_and(|it| it > 1.0), "{:?}", gpu.power_watts);
            assert!(text.contains(&format!("nv_gpu_memory_total_bytes{{{}}} {total}\n", gpu.label)));
        }
    }
}
