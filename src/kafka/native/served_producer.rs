//! A producer whose events are served by a thread that sleeps until there are any. The safe
//! client's own polling thread wakes ten times a second, and each time it looks at the clock for
//! the rest of a millisecond, which costs a twentieth of the CPU where little happens.

use std::ffi::c_void;
use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use rdkafka::bindings::{
    rd_kafka_queue_cb_event_enable, rd_kafka_queue_destroy, rd_kafka_queue_get_main,
    rd_kafka_queue_length, rd_kafka_queue_t, rd_kafka_t,
};
use rdkafka::client::{Client, ClientContext};
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};

/// A producer together with the thread that serves its events: delivery reports, errors, log lines
/// and requests for OAuth tokens. It derefs to the producer.
pub(crate) struct ServedProducer<C: ProducerContext + 'static> {
    // Fields are dropped in this order: the alarm wakes the thread, and the thread polls the
    // producer.
    _alarm: Alarm,
    _server: Server,
    producer: Arc<BaseProducer<C>>,
}

impl<C: ProducerContext + 'static> ServedProducer<C> {
    /// Starts the thread of a producer. `None` if out of memory or threads.
    pub(crate) fn new(producer: BaseProducer<C>) -> Option<Self> {
        let producer = Arc::new(producer);
        let server = Server::start(Arc::clone(&producer))?;
        let alarm = Alarm::set(EventQueue::of(producer.client())?, server.thread()?);
        // Events may have arrived before the alarm was set.
        alarm.thread.unpark();
        Some(ServedProducer { _alarm: alarm, _server: server, producer })
    }
}

impl<C: ProducerContext + 'static> Deref for ServedProducer<C> {
    type Target = BaseProducer<C>;

    fn deref(&self) -> &BaseProducer<C> {
        &self.producer
    }
}

/// The thread that serves the events of a producer. It ends when this is dropped.
struct Server {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start<C: ProducerContext + 'static>(producer: Arc<BaseProducer<C>>) -> Option<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let events = EventQueue::of(producer.client())?;
        let told = Arc::clone(&stop);
        let serve = move || {
            // Dropped before the producer that it belongs to.
            let events = events;
            while !told.load(Ordering::Acquire) {
                while !events.is_empty() {
                    producer.poll(Duration::ZERO);
                }
                // Returns at once if the thread was woken since it last parked.
                thread::park();
            }
        };
        let thread = thread::Builder::new().name("producer events".to_string()).spawn(serve);
        Some(Server { stop, thread: Some(thread.ok()?) })
    }

    fn thread(&self) -> Option<Thread> {
        self.thread.as_ref().map(|handle| handle.thread().clone())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(handle) = self.thread.take() {
            handle.thread().unpark();
            // It only fails if the thread panicked, which was reported then.
            _ = handle.join();
        }
    }
}

/// The queue on which a client's events arrive. It must be dropped before its client.
struct EventQueue(NonNull<rd_kafka_queue_t>);

// SAFETY: librdkafka locks its queues, so any thread may use them.
unsafe impl Send for EventQueue {}

impl EventQueue {
    fn of<C: ClientContext>(client: &Client<C>) -> Option<Self> {
        // SAFETY: the client is alive, since it is borrowed.
        NonNull::new(unsafe { rd_kafka_queue_get_main(client.native_ptr()) }).map(EventQueue)
    }

    fn is_empty(&self) -> bool {
        // SAFETY: the queue is alive: see `drop`.
        unsafe { rd_kafka_queue_length(self.0.as_ptr()) == 0 }
    }
}

impl Drop for EventQueue {
    fn drop(&mut self) {
        // SAFETY: the pointer came from librdkafka, and this is its only owner. The client is
        // alive: see `ServedProducer` and `Server::start`.
        unsafe { rd_kafka_queue_destroy(self.0.as_ptr()) }
    }
}

/// Wakes a thread when an event arrives on an empty queue, until it is dropped.
struct Alarm {
    events: EventQueue,
    /// In memory of its own: librdkafka keeps a pointer to it.
    thread: Box<Thread>,
}

// SAFETY: as for `EventQueue`.
unsafe impl Sync for Alarm {}

impl Alarm {
    fn set(events: EventQueue, thread: Thread) -> Self {
        let thread = Box::new(thread);
        let wakes: *const Thread = &raw const *thread;
        // SAFETY: the queue is alive. The thread stays where it is until `drop` has removed the
        // callback.
        unsafe {
            rd_kafka_queue_cb_event_enable(
                events.0.as_ptr(),
                Some(wake),
                wakes.cast_mut().cast::<c_void>(),
            );
        }
        Alarm { events, thread }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        // SAFETY: the queue is alive. librdkafka calls back under the lock that this call takes, so
        // afterwards nothing uses the thread.
        unsafe { rd_kafka_queue_cb_event_enable(self.events.0.as_ptr(), None, ptr::null_mut()) }
    }
}

/// Called by librdkafka's threads.
unsafe extern "C" fn wake(_: *mut rd_kafka_t, thread: *mut c_void) {
    // SAFETY: `Alarm` set this pointer, and keeps the thread alive while the callback is set.
    unsafe { &*thread.cast_const().cast::<Thread>() }.unpark();
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, TryRecvError, channel};

    use rdkafka::ClientConfig;
    use rdkafka::error::KafkaError;
    use rdkafka::producer::DeliveryResult;

    use super::*;

    /// Passes on each error that the client reports.
    struct Reports(Sender<String>);

    impl ClientContext for Reports {
        fn error(&self, error: KafkaError, reason: &str) {
            // The test may have ended.
            _ = self.0.send(format!("{error}: {reason}"));
        }
    }

    impl ProducerContext for Reports {
        type DeliveryOpaque = ();

        fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
    }

    #[test]
    fn events_are_served_as_they_arrive_and_the_thread_ends_with_the_producer() {
        let (sender, reports) = channel();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", "127.0.0.1:1").set("reconnect.backoff.max.ms", "100");
        let producer = config.create_with_context(Reports(sender)).expect("client");
        let served = ServedProducer::new(producer).expect("a thread");
        for _ in 0..3 {
            let report = reports.recv_timeout(Duration::from_secs(60)).expect("an error");
            assert!(report.contains("127.0.0.1:1") || report.contains("brokers are down"));
        }
        let producer = Arc::downgrade(&served.producer);
        drop(served);
        assert_eq!(producer.strong_count(), 0, "the thread still holds the producer");
        while reports.try_recv().is_ok() {}
        assert_eq!(reports.try_recv(), Err(TryRecvError::Disconnected), "the context is alive");
    }
}
