//! The seeds on the stable toolchain, as they are and changed a little.

use std::path::Path;

use crate::TARGETS;

/// Changed copies of each seed.
const MUTATIONS: usize = 300;

/// Numbers that are the same on every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }
}

/// Changes one to four places: a bit, a byte, a few bytes gone or doubled, the end cut.
fn mutate(seed: &[u8], random: &mut Random) -> Vec<u8> {
    const TELLING: &[u8] = b"\x00\x01\x7f\x80\xff(){}[]\"'`\\|=~!,.-+*/%^@:0159e\n";
    let mut data = seed.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(data.len());
        let few = at..(at + 1 + random.below(8)).min(data.len());
        match random.below(6) {
            _ if data.is_empty() => data.push(TELLING[random.below(TELLING.len())]),
            0 => data[at] ^= 1 << random.below(8),
            1 => data[at] = TELLING[random.below(TELLING.len())],
            2 => data.insert(at, TELLING[random.below(TELLING.len())]),
            3 => drop(data.drain(few)),
            4 => data.extend_from_within(few),
            _ => data.truncate(at),
        }
    }
    data
}

fn seeds(name: &str) -> Vec<(String, Vec<u8>)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(name);
    let files = std::fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut paths: Vec<_> = files.map(|file| file.expect("a seed is listed").path()).collect();
    paths.sort();
    let read = |path: &std::path::PathBuf| std::fs::read(path).expect("a seed is readable");
    paths.iter().map(|path| (path.display().to_string(), read(path))).collect()
}

#[test]
fn seeds_and_their_mutations_break_nothing() {
    for target in TARGETS {
        let seeds = seeds(target.name);
        assert!(!seeds.is_empty(), "{} has no seeds", target.name);
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        for (path, seed) in &seeds {
            let attempt = |data: &[u8]| {
                let outcome = std::panic::catch_unwind(|| (target.run)(data));
                assert!(outcome.is_ok(), "{}: {path}: {:?}", target.name, data.escape_ascii().to_string());
            };
            attempt(seed);
            (0..MUTATIONS).for_each(|_| attempt(&mutate(seed, &mut random)));
        }
    }
}

#[test]
fn every_folder_of_seeds_has_a_target() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    for folder in std::fs::read_dir(dir).expect("seeds are listed") {
        let name = folder.expect("a folder is listed").file_name().to_string_lossy().into_owned();
        assert!(TARGETS.iter().any(|target| target.name == name), "no target is called {name}");
    }
}
