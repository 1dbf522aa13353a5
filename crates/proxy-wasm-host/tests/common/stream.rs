//! A stream that records what a guest does to it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use proxy_wasm_host::{BufferType, HttpStream, LocalResponse, MapType, Status, StreamType};

pub type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// Bytes as text, with everything else escaped.
pub fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

#[derive(Clone, Default)]
pub struct MockStream {
    inner: Rc<StreamData>,
}

#[derive(Default)]
struct StreamData {
    name: RefCell<String>,
    maps: RefCell<[Option<Pairs>; 8]>,
    buffers: RefCell<[Option<Vec<u8>>; 9]>,
    properties: RefCell<Pairs>,
    hosts: RefCell<Option<Pairs>>,
    events: RefCell<Vec<String>>,
    /// Visits one pair more the second time.
    fickle: Cell<u32>,
}

pub fn pairs(list: &[(&str, &str)]) -> Pairs {
    list.iter()
        .map(|(k, v)| (k.as_bytes().to_vec(), v.as_bytes().to_vec()))
        .collect()
}

impl MockStream {
    /// How many have it, this one included.
    pub fn holders(&self) -> usize {
        Rc::strong_count(&self.inner)
    }

    pub fn map(self, map: MapType, list: &[(&str, &str)]) -> MockStream {
        self.inner.maps.borrow_mut()[map as usize] = Some(pairs(list));
        self
    }

    pub fn buffer(self, buffer: BufferType, bytes: &[u8]) -> MockStream {
        self.inner.buffers.borrow_mut()[buffer as usize] = Some(bytes.to_vec());
        self
    }

    /// The servers of its upstream.
    pub fn with_hosts(self, list: &[(&str, &str)]) -> MockStream {
        *self.inner.hosts.borrow_mut() = Some(pairs(list));
        self
    }

    /// `path` with its segments joined by dots.
    pub fn with_property(self, path: &str, value: &[u8]) -> MockStream {
        let property = (path.as_bytes().to_vec(), value.to_vec());
        self.inner.properties.borrow_mut().push(property);
        self
    }

    /// Tells streams apart in the proxy's events.
    pub fn named(self, name: &str) -> MockStream {
        *self.inner.name.borrow_mut() = name.into();
        self
    }

    pub fn name(&self) -> String {
        self.inner.name.borrow().clone()
    }

    pub fn get_property(&self, path: &str) -> Option<Vec<u8>> {
        let mut value = Vec::new();
        let path: Vec<_> = path.split('\0').map(str::as_bytes).collect();
        self.property(&path, &mut value).ok().map(|()| value)
    }

    pub fn fickle(self) -> MockStream {
        self.inner.fickle.set(1);
        self
    }

    pub fn get_map(&self, map: MapType) -> Pairs {
        self.inner.maps.borrow()[map as usize].clone().unwrap()
    }

    pub fn get_buffer(&self, buffer: BufferType) -> Vec<u8> {
        self.inner.buffers.borrow()[buffer as usize]
            .clone()
            .unwrap()
    }

    pub fn take_events(&self) -> Vec<String> {
        self.inner.events.take()
    }

    /// Handles of this stream, this one included.
    pub fn handles(&self) -> usize {
        Rc::strong_count(&self.inner)
    }

    fn event(&self, event: String) {
        self.inner.events.borrow_mut().push(event);
    }

    fn edit(&self, map: MapType, edit: impl FnOnce(&mut Pairs)) -> Result<(), Status> {
        let mut maps = self.inner.maps.borrow_mut();
        edit(maps[map as usize].as_mut().ok_or(Status::BadArgument)?);
        Ok(())
    }
}

/// [start, start + len), cut to the buffer's end: an allocator may have changed it since the host asked.
fn within(buffer: &[u8], start: usize, len: usize) -> std::ops::Range<usize> {
    let start = start.min(buffer.len());
    start..start + len.min(buffer.len() - start)
}

impl HttpStream for MockStream {
    fn map_visit(&self, map: MapType, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), Status> {
        let maps = self.inner.maps.borrow();
        for (key, value) in maps[map as usize].iter().flatten() {
            visit(key, value);
        }
        match self.inner.fickle.get() {
            0 => {}
            1 => self.inner.fickle.set(2),
            _ => visit(b"one", b"more"),
        }
        Ok(())
    }

    fn map_get(
        &self,
        map: MapType,
        key: &[u8],
        found: &mut dyn FnMut(&[u8]),
    ) -> Result<bool, Status> {
        let maps = self.inner.maps.borrow();
        let mut pairs = maps[map as usize].iter().flatten();
        let pair = pairs.find(|(k, _)| k.eq_ignore_ascii_case(key));
        if let Some((_, value)) = pair {
            found(value);
        }
        Ok(pair.is_some())
    }

    fn map_add(&self, map: MapType, key: &[u8], value: &[u8]) -> Result<(), Status> {
        self.edit(map, |pairs| pairs.push((key.to_vec(), value.to_vec())))
    }

    fn map_replace(&self, map: MapType, key: &[u8], value: &[u8]) -> Result<(), Status> {
        self.edit(map, |pairs| {
            pairs.retain(|(k, _)| !k.eq_ignore_ascii_case(key));
            pairs.push((key.to_vec(), value.to_vec()));
        })
    }

    fn map_remove(&self, map: MapType, key: &[u8]) -> Result<(), Status> {
        self.edit(map, |pairs| {
            pairs.retain(|(k, _)| !k.eq_ignore_ascii_case(key))
        })
    }

    fn map_set_pairs(&self, map: MapType, list: &[(&[u8], &[u8])]) -> Result<(), Status> {
        self.edit(map, |pairs| {
            *pairs = list.iter().map(|(k, v)| (k.to_vec(), v.to_vec())).collect();
        })
    }

    fn buffer_len(&self, buffer: BufferType) -> Result<usize, Status> {
        let buffers = self.inner.buffers.borrow();
        let buffer = buffers[buffer as usize].as_ref().ok_or(Status::NotFound)?;
        Ok(buffer.len())
    }

    fn buffer_read(
        &self,
        buffer: BufferType,
        start: usize,
        len: usize,
        found: &mut dyn FnMut(&[u8]),
    ) -> Result<(), Status> {
        let buffers = self.inner.buffers.borrow();
        let buffer = buffers[buffer as usize].as_ref().ok_or(Status::NotFound)?;
        // Small pieces, and an empty one.
        found(&[]);
        for piece in buffer[within(buffer, start, len)].chunks(3) {
            found(piece);
        }
        Ok(())
    }

    fn buffer_replace(
        &self,
        buffer: BufferType,
        start: usize,
        len: usize,
        data: &[u8],
    ) -> Result<(), Status> {
        let mut buffers = self.inner.buffers.borrow_mut();
        let buffer = buffers[buffer as usize].as_mut().ok_or(Status::NotFound)?;
        let range = within(buffer, start, len);
        buffer.splice(range, data.iter().copied());
        Ok(())
    }

    fn property(&self, path: &[&[u8]], out: &mut Vec<u8>) -> Result<(), Status> {
        let path = path.join(&b'.');
        let properties = self.inner.properties.borrow();
        let (_, value) = properties
            .iter()
            .find(|(known, _)| *known == path)
            .ok_or(Status::NotFound)?;
        out.extend_from_slice(value);
        Ok(())
    }

    fn set_property(&self, path: &[&[u8]], value: &[u8]) -> Result<(), Status> {
        let path = path.join(&b'.');
        if path == b"read.only" {
            return Err(Status::NotFound);
        }
        let mut properties = self.inner.properties.borrow_mut();
        properties.push((path, value.to_vec()));
        Ok(())
    }

    fn continue_stream(&self, stream: StreamType) -> Result<(), Status> {
        self.event(format!("continue {stream:?}"));
        Ok(())
    }

    fn close_stream(&self, stream: StreamType) -> Result<(), Status> {
        self.event(format!("close {stream:?}"));
        Ok(())
    }

    fn send_local_response(&self, response: &LocalResponse<'_>) -> Result<(), Status> {
        let headers: Vec<_> = response
            .headers
            .iter()
            .map(|(k, v)| format!("{}={}", text(k), text(v)))
            .collect();
        self.event(format!(
            "respond {} details={} headers=[{}] body={} grpc={:?}",
            response.status,
            text(response.details),
            headers.join(","),
            text(response.body),
            response.grpc_status
        ));
        Ok(())
    }

    fn inject_response_body(&self, body: &[u8], end: bool) -> Result<(), Status> {
        self.event(format!("inject {} end={end}", text(body)));
        Ok(())
    }

    fn clear_route_cache(&self) -> Result<(), Status> {
        self.event("clear".into());
        Ok(())
    }

    fn upstream_hosts(&self) -> Result<Pairs, Status> {
        let hosts = self.inner.hosts.borrow();
        hosts.clone().ok_or(Status::NotFound)
    }

    fn set_upstream_override_host(&self, host: &[u8]) -> Result<(), Status> {
        self.event(format!("choose {}", text(host)));
        Ok(())
    }

    fn set_filter_state(&self, name: &[u8], value: &[u8]) -> Result<(), Status> {
        let mut path = b"filter_state.".to_vec();
        path.extend_from_slice(name);
        let mut properties = self.inner.properties.borrow_mut();
        properties.retain(|(known, _)| *known != path);
        properties.push((path, value.to_vec()));
        Ok(())
    }
}
