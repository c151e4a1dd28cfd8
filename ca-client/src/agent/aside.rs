//! How is a file of somebody else looked at without waiting for ever? Off the loop, one piece of work at a time for each
//! file: a mount that hangs costs one thread, and neither the other workloads nor a signal wait for it.

use std::io;
use std::io::ErrorKind;
use std::time::Duration;

use tokio::task::JoinHandle;

/// Work of one kind on one file.
#[derive(Debug)]
pub(super) struct Aside<T> {
    /// What was begun and was not waited for any longer.
    running: Option<JoinHandle<T>>,
}

impl<T: Send + 'static> Aside<T> {
    pub(super) fn new() -> Self {
        Self { running: None }
    }

    /// What comes of `work`, or of what was begun before and ends only now; `None` where that takes longer than
    /// `patience`. What ended meanwhile tells of a time that nobody knows: it is begun anew.
    pub(super) async fn ask(
        &mut self,
        patience: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let begun = self.running.take().filter(|task| !task.is_finished());
        let mut task = begun.unwrap_or_else(|| tokio::task::spawn_blocking(work));
        match tokio::time::timeout(patience, &mut task).await {
            Ok(Ok(done)) => Some(done),
            Ok(Err(error)) => match error.try_into_panic() {
                // A supervisor helps where nothing but a new start does.
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is ending.
                Err(_cancelled) => None,
            },
            Err(_elapsed) => {
                self.running = Some(task);
                None
            }
        }
    }
}

impl<T: Send + 'static> Aside<io::Result<T>> {
    /// The same, where not to answer is an error like others.
    pub(super) async fn read(
        &mut self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        self.ask(PATIENCE, work).await.unwrap_or_else(|| {
            let seconds = PATIENCE.as_secs();
            let why = format!("the file system did not answer within {seconds} seconds");
            Err(io::Error::new(ErrorKind::TimedOut, why))
        })
    }
}

/// For a small file.
const PATIENCE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn what_hangs_is_begun_once_and_its_answer_comes_when_it_is_there() {
        let (tell, told) = mpsc::channel::<u32>();
        let mut aside = Aside::new();
        let first = aside.ask(BRIEFLY, move || told.recv()).await;
        assert!(first.is_none());
        for _ in 0..3 {
            let again = aside.ask(BRIEFLY, || panic!("begun a second time")).await;
            assert!(again.is_none());
        }
        let late = async {
            tokio::time::sleep(BRIEFLY).await;
            tell.send(7).unwrap();
        };
        let asked = aside.ask(LONG, || panic!("begun a second time"));
        let (late, ()) = tokio::join!(asked, late);
        assert_eq!(late, Some(Ok(7)));
        assert_eq!(aside.ask(LONG, || Ok(8)).await, Some(Ok(8)));
    }

    #[tokio::test]
    async fn what_ended_when_nobody_waited_is_begun_anew() {
        let (tell, told) = mpsc::channel::<u32>();
        let mut aside = Aside::new();
        assert!(
            aside
                .ask(BRIEFLY, move || told.recv().unwrap())
                .await
                .is_none()
        );
        tell.send(7).unwrap();
        while aside.running.as_ref().is_some_and(|it| !it.is_finished()) {
            tokio::time::sleep(BRIEFLY).await;
        }
        assert_eq!(aside.ask(LONG, || 8).await, Some(8));
    }

    const BRIEFLY: Duration = Duration::from_millis(10);
    const LONG: Duration = Duration::from_secs(60);
}
