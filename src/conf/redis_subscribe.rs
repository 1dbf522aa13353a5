//! `wasm_redis_subscribe server channel … module [function=name] [once=yes] [user=name] [password=text];`

use std::ffi::c_void;

use ngx::ffi::{ngx_command_t, ngx_conf_t, ngx_str_t};

use crate::conf::main::MainConf;
use crate::conf::subscription::SubscriptionConf;
use crate::nginx::conf::{Answer, Cf, Mistake, read_directive};

impl MainConf {
    /// Adds a subscription. `false`: it is there already.
    pub fn subscribe(&mut self, subscription: SubscriptionConf) -> bool {
        let mut known = self.subscriptions.iter();
        if known.any(|known| known.is_like(&subscription)) {
            return false;
        }
        self.subscriptions.push(subscription);
        true
    }
}

pub unsafe extern "C" fn wasm_redis_subscribe(
    cf: *mut ngx_conf_t,
    _command: *mut ngx_command_t,
    conf: *mut c_void,
) -> Answer {
    // SAFETY: nginx passes both, and the table of directives gives this one to a MainConf.
    unsafe { read_directive(cf, conf, read) }
}

/// The names of the parameters, which stand behind all else.
const PARAMETERS: [&[u8]; 4] = [b"function=", b"once=", b"user=", b"password="];

fn is_parameter(argument: &ngx_str_t) -> bool {
    let bytes = argument.as_bytes();
    PARAMETERS.iter().any(|name| bytes.starts_with(name))
}

fn read(cf: Cf<'_>, conf: &mut MainConf) -> Result<(), Mistake> {
    let arguments = cf.arguments();
    let behind = arguments.iter().rev().take_while(|a| is_parameter(a));
    let (named, parameters) = arguments.split_at(arguments.len() - behind.count());
    let [server, channels @ .., module] = named else {
        return Err("wasm_redis_subscribe needs a server, channels and a wasm module".into());
    };
    if channels.is_empty() {
        return Err("wasm_redis_subscribe needs a server, channels and a wasm module".into());
    }
    if channels.iter().any(|channel| channel.len == 0) {
        return Err("the name of a channel must not be empty".into());
    }
    if server.as_bytes().contains(&b'?') || server.as_bytes().contains(&b'@') {
        return Err(format!(
            "invalid server \"{server}\" of wasm_redis_subscribe: user= and password= say who logs in, and channels belong to no \
             database"
        )
        .into());
    }
    let (mut function, mut once, mut user, mut password) = (None, None, None, None);
    for parameter in parameters {
        let bytes = parameter.as_bytes();
        let at = bytes.iter().position(|byte| *byte == b'=').unwrap_or(0);
        let (name, value) = (&bytes[..at], &bytes[at + 1..]);
        let place = match name {
            b"function" => &mut function,
            b"once" if !matches!(value, b"yes" | b"no") => {
                return Err(format!("invalid \"{parameter}\": it is once=yes or once=no").into());
            }
            b"once" => &mut once,
            b"user" => &mut user,
            _ => &mut password,
        };
        if value.is_empty() {
            return Err(format!("invalid parameter \"{parameter}\"").into());
        }
        if place.replace(value.to_vec()).is_some() {
            let name = String::from_utf8_lossy(name);
            return Err(format!("duplicate parameter {name}= of wasm_redis_subscribe").into());
        }
    }
    if user.is_some() && password.is_none() {
        return Err("user= needs password=".into());
    }
    let subscription = SubscriptionConf {
        server: server.as_bytes().to_vec(),
        user: user.unwrap_or_default(),
        password: password.unwrap_or_default(),
        channels: channels.iter().map(|c| c.as_bytes().to_vec()).collect(),
        module: module.to_string(),
        function,
        once: once.is_some_and(|value| value == b"yes"),
        place: cf.place(),
        receiver: None,
    };
    match conf.subscribe(subscription) {
        true => Ok(()),
        false => Err("duplicate wasm_redis_subscribe".into()),
    }
}
