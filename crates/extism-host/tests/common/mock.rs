//! A mock embedder.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::{Poll, Waker};

use extism_host::{HttpRequest, HttpResult, LogLevel, ServiceError, Services};

/// Clones are the same.
#[derive(Clone, Default)]
pub struct Mock(pub Rc<RefCell<State>>);

#[derive(Default)]
pub struct State {
    pub lines: Vec<(LogLevel, String)>,
    /// `None`: nothing is logged.
    pub level: Option<LogLevel>,
    /// Value and number.
    pub shared: HashMap<Vec<u8>, (Vec<u8>, u32)>,
    pub queues: HashMap<Vec<u8>, Vec<Vec<u8>>>,
    pub counters: HashMap<Vec<u8>, u64>,
    pub variables: HashMap<Vec<u8>, Vec<u8>>,
    pub vars: HashMap<String, Vec<u8>>,
    pub requests: Vec<HttpRequest>,
    /// What requests resolve with; none of them does while there is nothing.
    pub results: VecDeque<HttpResult>,
    pub wakers: Vec<Waker>,
    /// Requests whose futures are there.
    pub pending: usize,
}

/// Counts a request while its future is there.
struct Pending(Mock);

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.0.borrow_mut().pending -= 1;
    }
}

impl Mock {
    /// Has requests resolve with this, and wakes who waits.
    pub fn respond(&self, result: HttpResult) {
        let mut state = self.0.borrow_mut();
        state.results.push_back(result);
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    pub fn respond_with(&self, status: u16, body: &[u8]) {
        let response = http::Response::builder().status(status);
        self.respond(Ok(response.body(body.to_vec()).unwrap()));
    }

    pub fn lines(&self) -> Vec<(LogLevel, String)> {
        self.0.borrow().lines.clone()
    }

    pub fn log_from(&self, level: LogLevel) {
        self.0.borrow_mut().level = Some(level);
    }

    pub fn requests(&self) -> usize {
        self.0.borrow().requests.len()
    }

    pub fn pending(&self) -> usize {
        self.0.borrow().pending
    }
}

fn get<V: Clone>(map: &HashMap<Vec<u8>, V>, key: &[u8]) -> Result<V, ServiceError> {
    map.get(key).cloned().ok_or(ServiceError::NotFound)
}

impl guest_host::Services for Mock {
    fn log_enabled(&self, level: LogLevel) -> bool {
        self.0.borrow().level.is_some_and(|least| level >= least)
    }

    fn log(&self, level: LogLevel, message: &[u8]) {
        let message = String::from_utf8_lossy(message).into_owned();
        self.0.borrow_mut().lines.push((level, message));
    }

    fn log_level(&self) -> LogLevel {
        self.0.borrow().level.unwrap_or(LogLevel::Critical)
    }

    fn shared_data(&self, key: &[u8], out: &mut Vec<u8>) -> Result<u32, ServiceError> {
        let (value, cas) = get(&self.0.borrow().shared, key)?;
        *out = value;
        Ok(cas)
    }

    fn set_shared_data(&self, key: &[u8], value: &[u8], cas: u32) -> Result<(), ServiceError> {
        let mut state = self.0.borrow_mut();
        let entry = state.shared.entry(key.to_vec()).or_default();
        if cas != 0 && cas != entry.1 {
            return Err(ServiceError::CasMismatch);
        }
        *entry = (value.to_vec(), entry.1 + 1);
        Ok(())
    }

    fn enqueue(&self, queue: &[u8], message: &[u8]) -> Result<(), ServiceError> {
        let mut state = self.0.borrow_mut();
        let queue = state.queues.get_mut(queue).ok_or(ServiceError::NotFound)?;
        queue.push(message.to_vec());
        Ok(())
    }

    fn increment_counter(&self, name: &[u8], by: u64) -> Result<u64, ServiceError> {
        let mut state = self.0.borrow_mut();
        let counter = state.counters.entry(name.to_vec()).or_default();
        *counter += by;
        Ok(*counter)
    }

    fn variable(&self, name: &[u8], out: &mut Vec<u8>) -> Result<(), ServiceError> {
        *out = get(&self.0.borrow().variables, name)?;
        Ok(())
    }

    fn set_variable(&self, name: &[u8], value: &[u8]) -> Result<(), ServiceError> {
        let mut state = self.0.borrow_mut();
        let known = state.variables.get_mut(name);
        *known.ok_or(ServiceError::BadArgument)? = value.to_vec();
        Ok(())
    }
}

impl Services for Mock {
    fn http_request(&self, request: HttpRequest) -> impl Future<Output = HttpResult> + 'static {
        let mut state = self.0.borrow_mut();
        state.requests.push(request);
        state.pending += 1;
        let pending = Pending(self.clone());
        poll_fn(move |context| {
            let mut state = pending.0.0.borrow_mut();
            match state.results.pop_front() {
                Some(result) => Poll::Ready(result),
                None => {
                    state.wakers.push(context.waker().clone());
                    Poll::Pending
                }
            }
        })
    }

    fn var(&self, key: &str, out: &mut Vec<u8>) -> Result<bool, ServiceError> {
        match self.0.borrow().vars.get(key) {
            Some(value) => {
                out.clone_from(value);
                Ok(true)
            }
            None => Ok(false),
        }
    }

    fn set_var(&self, key: &str, value: Option<&[u8]>) -> Result<(), ServiceError> {
        let mut state = self.0.borrow_mut();
        match value {
            Some(value) => state.vars.insert(key.to_owned(), value.to_vec()),
            None => state.vars.remove(key),
        };
        Ok(())
    }
}
