//! The places at which a crash test kills the process: nothing at all without the feature
//! `testing`.

#[cfg(feature = "testing")]
pub use self::armed::{CRASH_AT, CRASH_POINTS, crash_point};

/// Passes a named place.
#[cfg(not(feature = "testing"))]
pub(crate) const fn crash_point(_name: &'static str) {}

#[cfg(feature = "testing")]
mod armed {
    use std::process::Command;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// The environment variable that names the place: `after the claim`, or
    /// `after the claim#3` for the third time.
    pub const CRASH_AT: &str = "INTEGRATION_CRASH_AT";

    /// The places in this crate, in the order in which an event passes them.
    pub const CRASH_POINTS: &[&str] = &[
        "before the claim commits",
        "after the claim",
        "after the broker's answer",
        "before the settlement commits",
        "in the sweep",
        "before the effect commits",
        "after the effect",
        "after an event is held",
        "before a held event is handled",
        "before the forestall commits",
        "before the recall commits",
        "before the instance commits",
        "before the clerk commits",
        "after the clerk commits",
    ];

    /// Passes a named place, and dies there as by SIGKILL where [`CRASH_AT`] says so.
    ///
    /// An adapter of one's own may have places of its own.
    ///
    /// ```
    /// use integration_automation_patterns::testing::crash_point;
    ///
    /// crash_point("between two writes"); // nobody ordered a death
    /// assert!(
    ///     std::env::var_os(integration_automation_patterns::testing::CRASH_AT)
    ///         .is_none()
    /// );
    /// ```
    pub fn crash_point(name: &str) {
        static ORDER: OnceLock<Option<(String, u32)>> = OnceLock::new();
        static PASSED: AtomicU32 = AtomicU32::new(0);
        let order = ORDER.get_or_init(|| {
            let text = std::env::var(CRASH_AT).ok()?;
            let (name, time) = text.split_once('#').unwrap_or((&text, "1"));
            Some((name.to_owned(), time.parse().unwrap_or(1)))
        });
        if let Some((place, time)) = order
            && place == name
            && PASSED.fetch_add(1, Ordering::SeqCst).saturating_add(1) == *time
        {
            die();
        }
    }

    /// Ends this process at once: no destructor, no buffer, no goodbye.
    fn die() -> ! {
        let pid = std::process::id().to_string();
        let _ = Command::new("kill").args(["-9", &pid]).status();
        // Where there is no such command.
        std::process::abort()
    }
}
