//! Inputs that fuzzing has found worth keeping, given to the same targets (`tests/fuzz`).

#[path = "../fuzz/src/targets/mod.rs"]
mod targets;

use std::path::Path;

#[test]
fn what_fuzzing_has_found_stays_harmless() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    for (name, target) in targets::TARGETS {
        let files = std::fs::read_dir(corpus.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        for file in files {
            let path = file.unwrap().path();
            // The test harness shows this only of a test that fails.
            println!("{}", path.display());
            target(&std::fs::read(path).unwrap());
        }
    }
}
