//! The turn of one tenant and signal: what is due there, one job at a time.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use manifest::limits::{DEAD_GRACE, PACK_AGE_MIN};
use manifest::{DayState, Deletion, DeletionState, Finish, Part, Window};
use model::{Hour, Resolution, Signal, TenantId, TimestampMs};

use crate::diary::{Diary, Page, is_due, is_recent};
use crate::limits::{PACE_FAILED, PACE_RECENT};
use crate::pace::next_catalog;
use crate::rewrite::manifest_error;
use crate::run::{Next, Run, failed};
use crate::visit::Garbage;
use crate::{CompactError, Compactor};

/// One thing to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Task {
    /// Look at an hour or day, and again no later than looks of this turn said.
    Window(Window, Option<TimestampMs>),
    /// Bring a deletion on; it has been asked about after so many jobs of this turn.
    Deletion(u128, Option<u64>),
    /// Drop and forget days.
    Retain,
    /// Look for orphans.
    Inventory,
}

impl Task {
    /// What is done again, a window no later than this.
    fn again(self, at: Option<TimestampMs>) -> Task {
        match self {
            Task::Window(window, _) => Task::Window(window, at),
            task => task,
        }
    }
}

/// A tenant and signal with what is left to do there.
#[derive(Debug)]
pub(crate) struct Turn {
    pub tenant: TenantId,
    pub signal: Signal,
    /// `None`: not looked at yet.
    open: Option<(Page, VecDeque<Task>)>,
    reopened: bool,
    jobs: u64,
}

impl Turn {
    pub fn new(tenant: TenantId, signal: Signal) -> Turn {
        Turn { tenant, signal, open: None, reopened: false, jobs: 0 }
    }

    /// Puts the page back; what was not done is due at once.
    pub fn close(&mut self, diary: &Diary) {
        if let Some((mut page, tasks)) = self.open.take() {
            page.catalog = page.catalog.filter(|_| tasks.is_empty());
            diary.put(&self.tenant, self.signal, page);
        }
    }

    /// Closes the page once something on it is due again, so that an hour that fills need not wait for the end of a backlog; every
    /// other time only, so that the backlog has its turns too.
    fn reopen(&mut self, diary: &Diary, now: TimestampMs) {
        let due = self.open.as_ref().is_some_and(|(page, _)| page.is_due(now));
        self.reopened = due && !self.reopened;
        if self.reopened {
            self.close(diary);
        }
    }
}

impl Compactor {
    /// Does tasks until one of them was a job or nothing is left; `None` then.
    pub(crate) async fn take_turn(&self, mut turn: Turn, run: &mut Run) -> Option<Turn> {
        turn.reopen(self.diary(), self.now());
        let (mut page, mut tasks) = match turn.open.take() {
            Some(open) => open,
            None => match self.open(&turn, run).await {
                Ok(open) => open,
                Err(error) => {
                    failed(&turn.tenant, turn.signal, &error, run);
                    return None;
                }
            },
        };
        while let Some(task) = tasks.pop_front() {
            if self.now() >= run.begin_by {
                run.report.out_of_time = true;
                tasks.push_front(task);
                break;
            }
            let before = run.report.jobs;
            let next = self.perform(&turn, &task, &mut page, &mut tasks, run).await;
            let did_job = run.report.jobs > before;
            turn.jobs += run.report.jobs - before;
            let next = next.unwrap_or_else(|error| {
                failed(&turn.tenant, turn.signal, &error, run);
                Next::At(self.now().plus(PACE_FAILED))
            });
            match next {
                Next::Again(at) => tasks.push_front(task.again(at)),
                Next::At(at) => note(&mut page, &task, at),
            }
            if did_job {
                break;
            }
        }
        turn.open = Some((page, tasks));
        if turn.open.as_ref().is_some_and(|(_, tasks)| tasks.is_empty()) {
            turn.close(self.diary());
            return None;
        }
        Some(turn)
    }

    /// Reads the catalog, unless it is too early for that, and lists what is due.
    async fn open(&self, turn: &Turn, run: &mut Run) -> Result<(Page, VecDeque<Task>), CompactError> {
        let (tenant, signal, now) = (&turn.tenant, turn.signal, self.now());
        let mut page = self.diary().take(tenant, signal);
        if !page.is_due(now) {
            return Ok((page, VecDeque::new()));
        }
        run.report.tenants += 1;
        let days = self.manifest().days(tenant, signal).await.map_err(manifest_error("read catalog"))?;
        let deletions = self.manifest().deletions(tenant, signal).await.map_err(manifest_error("read deletions"))?;
        let live: Vec<&DayState> = days.iter().filter(|day| !is_dropped(day)).collect();
        let hours: Vec<Hour> = live.iter().flat_map(|day| day.hours.clone()).collect();
        let is_idle = !hours.iter().any(|hour| is_recent(*hour, now));
        page.catalog = Some(next_catalog(is_idle, now));
        let is_copied = !self.policy().retention.of(tenant, signal).coarse.is_empty();
        let is_merged = self.policy().limits.of(tenant).replicas_merged_after.is_some();
        let copied = signal == Signal::Metrics && (is_copied || is_merged);
        let windows = windows(&live, self.policy().roll_after, copied, now);
        page.keep(&|window| windows.contains(&window), &|id| deletions.iter().any(|deletion| deletion.id == id));
        // What is due has no entry, so that the entries say what is due next.
        page.windows.retain(|_, at| *at > now);
        let due = windows.iter().filter(|window| !page.windows.contains_key(window)).map(|window| Task::Window(*window, None));
        let mut tasks: VecDeque<Task> = due.collect();
        let ids = deletions.iter().map(|deletion| deletion.id).filter(|id| is_due(page.deletions.get(id), now));
        tasks.extend(ids.map(|id| Task::Deletion(id, None)));
        tasks.extend(is_due(page.retention.as_ref(), now).then_some(Task::Retain));
        tasks.extend(is_due(page.inventory.as_ref(), now).then_some(Task::Inventory));
        Ok((page, tasks))
    }

    async fn perform(
        &self,
        turn: &Turn,
        task: &Task,
        page: &mut Page,
        tasks: &mut VecDeque<Task>,
        run: &mut Run,
    ) -> Result<Next, CompactError> {
        let (tenant, signal) = (&turn.tenant, turn.signal);
        match task {
            Task::Window(window, no_later) => {
                let garbage = match page.garbage.get(window) {
                    None => Garbage::IfIdle,
                    Some(at) if *at <= self.now() => Garbage::Due,
                    Some(_) => Garbage::Later,
                };
                let next = self.visit(tenant, signal, *window, garbage, run).await?.no_later(*no_later);
                if garbage != Garbage::Later && matches!(next, Next::At(_)) {
                    page.garbage.insert(*window, self.now().plus(crate::limits::PACE_COLLECT));
                }
                Ok(next)
            }
            Task::Deletion(id, asked) if *asked != Some(turn.jobs) => {
                let (deleted, is_all) = self.collect_after(tenant, signal, *id).await?;
                run.report.deleted += deleted;
                if !is_all {
                    return Ok(Next::At(self.now().plus(PACE_FAILED)));
                }
                let finish = self.manifest().finish_deletion(tenant, signal, *id).await;
                if let Finish::Pending(parts) = finish.map_err(manifest_error("finish deletion"))? {
                    // Rewrite them, then ask again.
                    tasks.push_front(Task::Deletion(*id, Some(turn.jobs)));
                    windows_of(&parts).into_iter().rev().for_each(|window| tasks.push_front(Task::Window(window, None)));
                }
                Ok(Next::At(self.now().plus(PACE_RECENT)))
            }
            Task::Deletion(..) => Ok(Next::At(self.now().plus(PACE_RECENT))),
            Task::Retain => self.retain(tenant, signal, page, run).await,
            Task::Inventory => self.take_inventory(tenant, signal, run).await,
        }
    }
}

fn is_dropped(day: &DayState) -> bool {
    day.dropped.iter().any(|(resolution, _)| *resolution == Resolution::Raw)
}

/// Reports whether a day is old enough for its month and not there yet.
fn is_packable(day: &DayState, now: TimestampMs) -> bool {
    day.open && day.hours.is_empty() && Window::Day(day.day).range().start.plus(PACK_AGE_MIN) <= now
}

/// Returns the windows of a catalog in which there may be something to do: hours that are not cleared, the newest first since
/// they are asked for most; then their days, and all days where they have coarse copies or replicas to merge; then days old enough for
/// their month, and the months.
fn windows(days: &[&DayState], roll_after: Duration, copied: bool, now: TimestampMs) -> Vec<Window> {
    let hours = days.iter().rev().flat_map(|day| day.hours.iter().rev()).map(|hour| Window::Hour(*hour));
    let start = |day: &DayState| Window::Day(day.day).range().start;
    let awake = days.iter().filter(|day| (copied || !day.hours.is_empty()) && start(day).plus(roll_after) <= now);
    let old = days.iter().filter(|day| !copied && is_packable(day, now));
    let months: BTreeSet<Window> = days.iter().filter(|day| day.packed).map(|day| Window::Day(day.day).month()).collect();
    hours.chain(awake.chain(old).map(|day| Window::Day(day.day))).chain(months).collect()
}

impl Compactor {
    /// Collects the days of a deletion that has ended an hour ago and is about to be removed: what it killed in days that rest
    /// would be found by nobody until they are packed. Returns how many objects, and whether nothing dead is left in such days.
    async fn collect_after(&self, tenant: &TenantId, signal: Signal, id: u128) -> Result<(u64, bool), CompactError> {
        let deletions = self.manifest().deletions(tenant, signal).await.map_err(manifest_error("read deletions"))?;
        let over =
            |deletion: &&Deletion| matches!(deletion.state, DeletionState::Finished(at) if at.plus(DEAD_GRACE) <= self.now());
        let Some(deletion) = deletions.iter().find(|deletion| deletion.id == id).filter(over) else { return Ok((0, true)) };
        let days = self.manifest().days(tenant, signal).await.map_err(manifest_error("read catalog"))?;
        let overlaps = |window: &Window| window.range().overlaps(deletion.request.range);
        let windows = days.iter().flat_map(|day| [Window::Day(day.day), Window::Day(day.day).month()]);
        let mut deleted = 0;
        for window in windows.filter(overlaps).collect::<BTreeSet<Window>>() {
            deleted += self.collect(tenant, signal, window).await?;
        }
        let resting = days.iter().filter(|day| day.open && day.hours.is_empty()).map(|day| Window::Day(day.day));
        for day in resting.filter(overlaps).collect::<Vec<Window>>() {
            let is_left = self.manifest().lists_dead(tenant, signal, day).await;
            if is_left.map_err(manifest_error("look for dead objects"))? {
                return Ok((deleted, false));
            }
        }
        Ok((deleted, true))
    }
}

fn note(page: &mut Page, task: &Task, at: TimestampMs) {
    match task {
        Task::Window(window, _) => drop(page.windows.insert(*window, at)),
        Task::Deletion(id, _) => drop(page.deletions.insert(*id, at)),
        Task::Retain => page.retention = Some(at),
        Task::Inventory => page.inventory = Some(at),
    }
}

/// The windows that can rewrite parts: their own, and the day that an hour's roll into.
fn windows_of(parts: &[Part]) -> BTreeSet<Window> {
    parts.iter().flat_map(|part| [part.window, Window::Day(part.window.day())]).collect()
}
