//! One append with a fault of every kind at every call to either store, then retries of the same request.

use testkit::Fault;

use crate::world::{Strategy, World, expected, large, lines, small};
use appender::{Batch, limits};
use model::ErrorKind;

#[derive(Clone, Copy, Debug)]
enum Port {
    Records,
    Objects,
}

/// A place where things go wrong: `times` faults from the `step`th call on.
#[derive(Clone, Copy, Debug)]
struct Trouble {
    port: Port,
    fault: Fault,
    step: u64,
    times: u64,
}

impl Trouble {
    fn script(self) -> impl Iterator<Item = Fault> {
        (0..self.step).map(|_| Fault::None).chain((0..self.times).map(move |_| self.fault))
    }

    fn calls(self, world: &World) -> u64 {
        match self.port {
            Port::Records => world.records.calls(),
            Port::Objects => world.puts(),
        }
    }
}

/// Appends under the trouble and retries; reports whether the trouble was met and whether the first attempt failed.
async fn check(strategy: Strategy, batch: &Batch, parts: usize, trouble: Trouble) -> (bool, bool) {
    let (world, signal) = (World::new(), batch.signal());
    let expected = expected(&world.tenant, std::slice::from_ref(batch));
    let buffer = world.buffer(strategy);
    match trouble.port {
        Port::Records => world.records.script(trouble.script()),
        Port::Objects => world.faulty_objects.script(trouble.script()),
    }
    let first = buffer.append(&world.tenant, batch.clone()).await;
    let met = trouble.calls(&world) > trouble.step;
    world.records.script([]);
    world.faulty_objects.script([]);
    match &first {
        Ok(_) => assert_eq!(world.rows(signal).await, expected, "{strategy:?} {trouble:?}: acknowledged"),
        Err(error) => {
            let crashed =
                matches!(trouble.port, Port::Records) && matches!(trouble.fault, Fault::CrashBefore | Fault::CrashAfter);
            let kind = if crashed { ErrorKind::Internal } else { ErrorKind::Unavailable };
            assert_eq!(error.kind(), kind, "{strategy:?} {trouble:?}");
            let rows = world.rows(signal).await;
            assert!(rows.iter().all(|(row, times)| expected.get(row) == Some(times)), "{strategy:?} {trouble:?}: torn");
        }
    }
    // The same process, then one that knows nothing.
    for retry in [buffer, world.buffer(strategy)] {
        retry.append(&world.tenant, batch.clone()).await.unwrap();
        assert_eq!(world.rows(signal).await, expected, "{strategy:?} {trouble:?}: retried");
        assert_eq!(world.parts(signal).await.len(), parts, "{strategy:?} {trouble:?}: listed once (W2)");
    }
    (met, first.is_err())
}

/// As often as the manifest repeats a call whose outcome is unknown.
const FAULTS_IN_A_ROW: u64 = manifest::limits::UNKNOWN_OUTCOME_ATTEMPTS_MAX as u64;

/// Returns how many troubles were met and how many of them failed the append.
async fn check_all(strategy: Strategy, batch: &Batch, parts: usize) -> (u64, u64) {
    let (mut met, mut failed) = (0, 0);
    for port in [Port::Records, Port::Objects] {
        for fault in [Fault::Before, Fault::After, Fault::CrashBefore, Fault::CrashAfter] {
            for times in [1, FAULTS_IN_A_ROW] {
                for step in 0.. {
                    let (was_met, has_failed) = check(strategy, batch, parts, Trouble { port, fault, step, times }).await;
                    if !was_met {
                        break;
                    }
                    met += 1;
                    failed += u64::from(has_failed);
                }
            }
        }
    }
    (met, failed)
}

#[tokio::test]
async fn every_call_may_fail() {
    for strategy in [Strategy::Direct, Strategy::Group] {
        for (batch, parts, met_min) in [(small(), 2, 40), (large(), 1, 40), (lines(), 2, 40)] {
            let (met, failed) = check_all(strategy, &batch, parts).await;
            assert!(met >= met_min && failed >= met / 2, "{strategy:?}: {met} faults were met, {failed} failed the append");
        }
    }
}

#[tokio::test]
async fn small_batches_are_inline_and_large_ones_objects() {
    for strategy in [Strategy::Direct, Strategy::Group] {
        for (batch, segments, inline) in [(small(), 2, 2), (large(), 1, 0), (lines(), 2, 2)] {
            let world = World::new();
            let receipt = world.buffer(strategy).append(&world.tenant, batch.clone()).await.unwrap();
            assert_eq!((receipt.rows, receipt.segments, receipt.inline), (batch.rows(), segments, inline));
            assert_eq!(world.puts(), (segments - inline) as u64);
            assert_eq!(receipt.bytes > limits::INLINE_BYTES_MAX, inline == 0);
        }
    }
}
