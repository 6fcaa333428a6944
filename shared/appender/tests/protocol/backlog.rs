//! Backpressure: what each number of waiting segments leads to, and what counting them costs.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use appender::backlog::{HINT_INTERVAL, RECOUNT_COMMITS, RECOUNT_INTERVAL_MIN};
use appender::{BacklogBounds, BacklogHints, Error, HourBacklog, Reason, Receipt, Result, Strategy, WriteBuffer, Writer};
use model::{ErrorKind, Signal};
use store::{RecordStore, keys};
use testkit::Fault;

use crate::world::{HOUR, World, single};

const SECOND: Duration = Duration::from_secs(1);
/// Small numbers in the design's place.
const BOUNDS: BacklogBounds = BacklogBounds { hinted: 4, grouped: 8, refused: 12 };

/// Remembers what it was told.
#[derive(Debug, Default)]
struct Told(Mutex<Vec<u32>>);

#[async_trait::async_trait]
impl BacklogHints for Told {
    async fn hint(&self, backlog: &HourBacklog) {
        assert_eq!((backlog.signal, backlog.hour), (Signal::Metrics, HOUR));
        self.0.lock().unwrap().push(backlog.segments);
    }
}

impl Told {
    fn take(&self) -> Vec<u32> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl World {
    fn bounded(&self, hints: &Arc<Told>) -> Writer {
        self.writer().with_backlog_bounds(BOUNDS).with_hints(hints.clone())
    }

    /// Writes segments `numbers`, each a request of its own.
    async fn write_all(&self, buffer: &dyn WriteBuffer, numbers: std::ops::Range<i64>) -> Result<Receipt> {
        let mut last = Receipt::default();
        for number in numbers {
            last = buffer.append(&self.tenant, single(number)).await?;
        }
        Ok(last)
    }

    /// Leaves the hour with `left` L0 items, as a compaction would.
    async fn compact_to(&self, left: usize) {
        let partition = keys::window_partition(&self.tenant, Signal::Metrics, keys::Window::Hour(HOUR));
        let items = self.records.query_prefix(&partition, keys::L0_PREFIX).await.unwrap();
        for item in items.into_iter().skip(left) {
            let key = store::RecordKey { partition: partition.clone(), sort: item.sort };
            self.records.delete_if(&key, item.version).await.unwrap();
        }
    }
}

#[tokio::test]
async fn counting_costs_one_call_in_many_writes() {
    let world = World::new();
    let buffer = appender::Direct::new(world.writer());
    world.write_all(&buffer, 0..1).await.unwrap();
    // Ring, registry and catalog read and written once; from then on a write is one call.
    assert_eq!(world.records.calls(), 1 + 2 + 2 + 1);
    let mut calls = world.records.calls();
    let mut spent = |by: &World| {
        let before = std::mem::replace(&mut calls, by.records.calls());
        by.records.calls() - before
    };
    let many = i64::from(RECOUNT_COMMITS);
    world.write_all(&buffer, 1..many).await.unwrap();
    assert_eq!(spent(&world), RECOUNT_COMMITS as u64 - 1);
    world.write_all(&buffer, many..3 * many).await.unwrap();
    assert_eq!(spent(&world), 2 * RECOUNT_COMMITS as u64 + 1, "one look, and none again before its time");
    world.clock.advance(RECOUNT_INTERVAL_MIN);
    world.write_all(&buffer, 3 * many..3 * many + 10).await.unwrap();
    assert_eq!(spent(&world), 10 + 1);
}

#[tokio::test]
async fn each_number_has_its_consequence() {
    let (world, told) = (World::new(), Arc::new(Told::default()));
    let buffer = world.adaptive(world.bounded(&told));
    assert_eq!(world.write_all(&buffer, 0..5).await.unwrap().choice.strategy, Strategy::Direct);
    assert_eq!(told.take(), Vec::<u32>::new());
    // Five are there: the sixth tells compaction, and its followers do not tell it again at once.
    world.write_all(&buffer, 5..9).await.unwrap();
    assert_eq!(told.take(), [5]);
    // Nine are there: requests are grouped although they are few.
    let choice = world.write_all(&buffer, 9..10).await.unwrap().choice;
    assert_eq!((choice.strategy, choice.reason), (Strategy::Group, Reason::Backlog));
    world.clock.advance(HINT_INTERVAL);
    world.write_all(&buffer, 10..13).await.unwrap();
    assert_eq!(told.take(), [10]);

    // Thirteen are there, and counted: refused, for now.
    world.clock.advance(5 * SECOND);
    let error = world.write_all(&buffer, 13..14).await.unwrap_err();
    assert!(matches!(error, Error::Backlogged { segments: 13, limit: 12, .. }), "{error:?}");
    assert_eq!((error.kind(), error.retry_after()), (ErrorKind::Unavailable, Some(Duration::from_secs(30))));
    assert_eq!(world.parts(Signal::Metrics).await.len(), 13);
    // Another hour, tenant or signal is not held back; the same one is, without a look, until one is due.
    let calls = world.records.calls();
    assert!(world.write_all(&buffer, 13..14).await.is_err());
    assert_eq!(world.records.calls(), calls);
    buffer.append(&world.tenant, crate::world::lines()).await.unwrap();

    world.compact_to(3).await;
    assert!(world.write_all(&buffer, 13..14).await.is_err());
    world.clock.advance(5 * SECOND);
    let choice = world.write_all(&buffer, 13..14).await.unwrap().choice;
    assert_eq!((choice.strategy, choice.reason), (Strategy::Direct, Reason::Rate));
}

#[tokio::test]
async fn an_estimate_refuses_nobody() {
    let (world, told) = (World::new(), Arc::new(Told::default()));
    let direct = appender::Direct::new(world.bounded(&told));
    // Compaction merges as fast as this process writes: it counted thirteen of its own, and there are two.
    for number in 0..13 {
        world.write_all(&direct, number..number + 1).await.unwrap();
        world.compact_to(2).await;
    }
    world.write_all(&direct, 13..30).await.unwrap();
}

#[tokio::test]
async fn compaction_is_told_of_what_was_counted() {
    let (world, told) = (World::new(), Arc::new(Told::default()));
    let direct = appender::Direct::new(world.bounded(&told));
    for number in 0..13 {
        world.write_all(&direct, number..number + 1).await.unwrap();
        world.compact_to(2).await;
        world.clock.advance(RECOUNT_INTERVAL_MIN);
    }
    assert_eq!(told.take(), Vec::<u32>::new(), "merged as fast as written");
    world.write_all(&direct, 13..17).await.unwrap();
    assert_eq!(told.take(), [5]);
}

#[tokio::test]
async fn a_count_that_fails_holds_nobody_back() {
    let (world, told) = (World::new(), Arc::new(Told::default()));
    let direct = appender::Direct::new(world.bounded(&told));
    world.write_all(&direct, 0..5).await.unwrap();
    world.records.script([Fault::Before]);
    world.write_all(&direct, 5..30).await.unwrap();
    // Looked for in vain, and not again before its time; then it is found.
    world.clock.advance(5 * SECOND);
    assert!(matches!(world.write_all(&direct, 30..31).await, Err(Error::Backlogged { segments: 13, .. })));
}
