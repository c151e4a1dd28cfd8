//! How does something that may hang keep nobody waiting? On a thread of its own, one at a time, until a deadline.
//!
//! A mount whose server is gone answers no system call, maybe for ever. Nobody can end such a thread: it is left behind,
//! and outside the runtime, which would wait for its own threads when the server stops.

use std::fmt;
use std::future::pending;
use std::io;
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::time::Instant;
use tokio::time::timeout_at;

/// Work on a thread beside the runtime.
pub(super) struct Aside<T> {
    limit: Duration,
    under_way: Option<UnderWay<T>>,
}

struct UnderWay<T> {
    answer: oneshot::Receiver<T>,
    until: Instant,
    is_given_up: bool,
}

/// What came of the wish to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begun {
    /// It is under way.
    Now,
    /// What was begun before is under way.
    Before,
    /// What was begun before was given up, and hangs still.
    Hangs,
}

impl<T: Send + 'static> Aside<T> {
    /// Nothing is under way; what will be has `limit` to answer.
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            limit,
            under_way: None,
        }
    }

    /// Begins `work`, unless other work has not ended yet. An answer that came too late is dropped.
    pub(super) fn begin(&mut self, work: impl FnOnce() -> T + Send + 'static) -> Begun {
        if let Some(before) = &mut self.under_way {
            if !before.is_given_up {
                return Begun::Before;
            }
            if matches!(before.answer.try_recv(), Err(TryRecvError::Empty)) {
                return Begun::Hangs;
            }
        }
        let (told, answer) = oneshot::channel();
        let thread = thread::Builder::new().name("aside".to_owned());
        // Without a thread nobody tells, which is what `ended` says then.
        let _runs_by_itself = thread.spawn(move || drop(told.send(work())));
        self.under_way = Some(UnderWay {
            answer,
            until: Instant::now() + self.limit,
            is_given_up: false,
        });
        Begun::Now
    }

    /// What came of the work under way; for ever when there is none, or it was given up. May be dropped and asked again.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] when the deadline came first: it is given up.
    pub(super) async fn ended(&mut self) -> io::Result<T> {
        let awaited = self.under_way.as_mut();
        let Some(awaited) = awaited.filter(|it| !it.is_given_up) else {
            return pending().await;
        };
        match timeout_at(awaited.until, &mut awaited.answer).await {
            Ok(answer) => {
                self.under_way = None;
                answer.map_err(|_nobody_tells| io::Error::other("the thread that asked ended"))
            }
            Err(_elapsed) => {
                awaited.is_given_up = true;
                Err(self.no_answer())
            }
        }
    }

    /// What to say of work that hangs.
    pub(super) fn no_answer(&self) -> io::Error {
        let message = format!("did not answer within {} s", self.limit.as_secs());
        io::Error::new(io::ErrorKind::TimedOut, message)
    }
}

impl<T> fmt::Debug for Aside<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aside")
            .field("limit", &self.limit)
            .field("is_under_way", &self.under_way.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn what_hangs_is_given_up_and_nothing_else_is_begun_until_it_ends() {
        let mut aside = Aside::new(Duration::from_millis(10));
        let (let_go, held) = mpsc::channel::<()>();
        assert_eq!(aside.begin(move || held.recv().is_ok()), Begun::Now);
        assert_eq!(aside.begin(|| true), Begun::Before);
        let given_up = aside.ended().await.unwrap_err();
        assert_eq!(given_up.kind(), io::ErrorKind::TimedOut);
        assert_eq!(aside.begin(|| true), Begun::Hangs);
        drop(let_go);
        aside.limit = Duration::from_secs(60);
        while aside.begin(|| true) == Begun::Hangs {
            thread::yield_now();
        }
        assert!(aside.ended().await.unwrap(), "not the late answer");
    }

    #[test]
    fn what_is_said_of_it_names_the_deadline() {
        let aside: Aside<()> = Aside::new(Duration::from_secs(10));
        assert_eq!(aside.no_answer().to_string(), "did not answer within 10 s");
    }

    #[tokio::test]
    async fn an_answer_is_not_lost_when_whoever_waits_is_interrupted() {
        let mut aside = Aside::new(Duration::from_secs(60));
        assert_eq!(aside.begin(|| 7), Begun::Now);
        let interrupted = tokio::time::timeout(Duration::ZERO, aside.ended()).await;
        let answer = match interrupted {
            Ok(answer) => answer,
            Err(_elapsed) => aside.ended().await,
        };
        assert_eq!(answer.unwrap(), 7);
    }

    #[tokio::test]
    async fn work_that_panics_has_no_answer() {
        let mut aside: Aside<()> = Aside::new(Duration::from_secs(60));
        aside.begin(|| panic!("as it may"));
        assert!(aside.ended().await.is_err());
        assert_eq!(aside.begin(|| ()), Begun::Now);
    }
}
