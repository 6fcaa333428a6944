//! libFuzzer's program: the target that `FUZZ_TARGET` names, with libFuzzer's own arguments.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static RUN: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let target = fuzz::TARGETS.iter().find(|target| target.name == name);
    target.expect("FUZZ_TARGET names a target").run
});

fuzz_target!(|data: &[u8]| RUN(data));
