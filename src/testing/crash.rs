//! `CrashTest`: real processes, killed at random moments and started again, until the
//! work is done all the same.

use std::collections::BTreeMap;
use std::fmt;
use std::process::{Child, Command, ExitStatus};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::reason::reason;

/// Processes that are killed and started again.
///
/// The same seed kills the same processes after the same pauses; what they do meanwhile
/// is the machine's business.
///
/// ```
/// use integration_automation_patterns::testing::CrashTest;
/// use std::process::Command;
/// use std::time::Duration;
///
/// let mut looks = 0;
/// let report = CrashTest::new(7)
///     .actor("sleeper", || {
///         let mut command = Command::new("sleep");
///         command.arg("60");
///         command
///     })
///     .kills(3)
///     .pauses(Duration::ZERO, Duration::from_millis(5))
///     .run(|| {
///         looks += 1;
///         Ok(looks > 1)
///     })?;
/// assert_eq!(report.kills(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a crash test does nothing until `run`"]
pub struct CrashTest {
    seed: u64,
    kills: u32,
    pauses: (Duration, Duration),
    limit: Duration,
    actors: Vec<Actor>,
}

struct Actor {
    name: String,
    command: Box<dyn Fn() -> Command>,
    process: Option<Child>,
    kills: u32,
}

impl CrashTest {
    /// A test without processes, of 200 kills, each 5 to 60 ms after the last, and two
    /// minutes to end.
    pub fn new(seed: u64) -> Self {
        let pauses = (Duration::from_millis(5), Duration::from_millis(60));
        Self {
            seed,
            kills: 200,
            pauses,
            limit: Duration::from_secs(120),
            actors: Vec::new(),
        }
    }

    /// A process, by the command that starts it. It starts again whenever it was
    /// killed; when it ends by itself, with success, its work is done.
    pub fn actor(
        mut self,
        name: impl Into<String>,
        command: impl Fn() -> Command + 'static,
    ) -> Self {
        self.actors.push(Actor {
            name: name.into(),
            command: Box::new(command),
            process: None,
            kills: 0,
        });
        self
    }

    /// How many kills there are in all.
    pub fn kills(self, kills: u32) -> Self {
        Self { kills, ..self }
    }

    /// The shortest and the longest pause between two kills.
    pub fn pauses(self, shortest: Duration, longest: Duration) -> Self {
        Self { pauses: (shortest, longest), ..self }
    }

    /// How long the processes have, after the last kill, to finish.
    pub fn limit(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// Kills, and then waits until `done` says that the work is done.
    ///
    /// # Errors
    ///
    /// [`CrashTestError`], with the seed: a process ended with an error of its own,
    /// `done` failed, or the work was not done in time.
    pub fn run(
        mut self,
        mut done: impl FnMut() -> Result<bool, Box<dyn std::error::Error>>,
    ) -> Result<CrashReport, CrashTestError> {
        let (seed, mut random) = (self.seed, Random::new(self.seed));
        let failed = |what: String| CrashTestError { seed, what };
        let began = Instant::now();
        for actor in &mut self.actors {
            actor.start().map_err(failed)?;
        }
        let mut left = self.kills;
        while left > 0 {
            let (shortest, longest) = self.pauses;
            sleep(random.between(shortest, longest));
            let mut running: Vec<&mut Actor> = Vec::new();
            for actor in &mut self.actors {
                if actor.is_running().map_err(failed)? {
                    running.push(actor);
                }
            }
            let count = running.len();
            let Some(actor) = running.into_iter().nth(random.below(count)) else { break };
            actor.kill();
            actor.start().map_err(failed)?;
            left = left.saturating_sub(1);
        }
        let last_kill = Instant::now();
        while !done().map_err(|error| failed(reason(&*error)))? {
            if last_kill.elapsed() > self.limit {
                return Err(failed(format!(
                    "the work was not done {:?} after the last kill",
                    self.limit
                )));
            }
            for actor in &mut self.actors {
                actor.is_running().map_err(failed)?;
            }
            sleep(Duration::from_millis(20));
        }
        let recovery = last_kill.elapsed();
        let kills =
            self.actors.iter().map(|actor| (actor.name.clone(), actor.kills)).collect();
        Ok(CrashReport { seed, kills, took: began.elapsed(), recovery })
    }
}

impl Actor {
    fn start(&mut self) -> Result<(), String> {
        let started = (self.command)().spawn();
        self.process = Some(
            started
                .map_err(|error| format!("{} cannot be started: {error}", self.name))?,
        );
        Ok(())
    }

    /// Whether it still works. One that was killed by something else is started again.
    fn is_running(&mut self) -> Result<bool, String> {
        let Some(process) = &mut self.process else { return Ok(false) };
        match process.try_wait() {
            Ok(None) => Ok(true),
            Ok(Some(status)) if status.success() => {
                self.process = None;
                Ok(false)
            }
            Ok(Some(status)) if was_killed(status) => self.start().map(|()| true),
            Ok(Some(status)) => {
                Err(format!("{} ended by itself with {status}", self.name))
            }
            Err(error) => Err(format!("{} cannot be watched: {error}", self.name)),
        }
    }

    fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
            self.kills = self.kills.saturating_add(1);
        }
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(unix)]
fn was_killed(status: ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt;
    status.signal() == Some(9)
}

#[cfg(not(unix))]
fn was_killed(_: ExitStatus) -> bool {
    false
}

impl fmt::Debug for CrashTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CrashTest")
            .field("seed", &self.seed)
            .field("kills", &self.kills)
            .finish_non_exhaustive()
    }
}

/// What a crash test did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CrashReport {
    /// The seed that repeats it.
    pub seed: u64,
    /// How often each process was killed, by its name.
    pub kills: BTreeMap<String, u32>,
    /// How long it took in all.
    pub took: Duration,
    /// How long the work took after the last kill.
    pub recovery: Duration,
}

impl CrashReport {
    /// The kills of all processes.
    pub fn kills(&self) -> u32 {
        self.kills.values().fold(0, |sum, kills| sum.saturating_add(*kills))
    }
}

impl fmt::Display for CrashReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}: {} kills (", self.seed, self.kills())?;
        for (number, (name, kills)) in self.kills.iter().enumerate() {
            write!(f, "{}{name} {kills}", if number > 0 { ", " } else { "" })?;
        }
        let (took, recovery) = (self.took.as_secs_f32(), self.recovery.as_secs_f32());
        write!(f, ") in {took:.1} s, done {recovery:.1} s after the last")
    }
}

/// A crash test that did not reach its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrashTestError {
    seed: u64,
    what: String,
}

impl fmt::Display for CrashTestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} (the seed was {}: `CrashTest::new({})` does it again)",
            self.what, self.seed, self.seed
        )
    }
}

impl std::error::Error for CrashTestError {}

/// Numbers that a seed gives, the same on every machine: Sebastiano Vigna's SplitMix64
/// (2015).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The numbers of a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    ///
    /// ```
    /// use integration_automation_patterns::testing::Random;
    ///
    /// assert_eq!(Random::new(0).next(), 0xe220_a839_7b1d_cdaf);
    /// ```
    #[allow(
        clippy::should_implement_trait,
        reason = "there is no end of them, and so no `Option`"
    )]
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 up to but not including `end`; 0 where that is 0.
    pub fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX);
        let number = self.next().checked_rem(end).unwrap_or(0);
        usize::try_from(number).unwrap_or(0)
    }

    /// A time between two, to the microsecond.
    pub fn between(&mut self, shortest: Duration, longest: Duration) -> Duration {
        let spread = longest.saturating_sub(shortest).as_micros();
        let spread = usize::try_from(spread).unwrap_or(usize::MAX).saturating_add(1);
        shortest.saturating_add(Duration::from_micros(
            u64::try_from(self.below(spread)).unwrap_or(0),
        ))
    }
}
