//! `wasm_key_value name redis=server [user=name] [password=text] [database=number];`

use std::ffi::c_void;

use ngx::ffi::{ngx_command_t, ngx_conf_t};

use crate::conf::main::MainConf;
use crate::conf::stores::KeyValueStore;
use crate::nginx::conf::{Answer, Cf, Mistake, read_directive};

pub unsafe extern "C" fn wasm_key_value(
    cf: *mut ngx_conf_t,
    _command: *mut ngx_command_t,
    conf: *mut c_void,
) -> Answer {
    // SAFETY: nginx passes both, and the table of directives gives this one to a MainConf.
    unsafe { read_directive(cf, conf, read) }
}

fn read(cf: Cf<'_>, conf: &mut MainConf) -> Result<(), Mistake> {
    let mut arguments = cf.arguments().iter().map(|argument| argument.as_bytes());
    let name = arguments.next().unwrap_or_default();
    let name = str::from_utf8(name).map_err(|_| "the name of a store must be UTF-8")?;
    if name.is_empty() {
        return Err("the name of a store must not be empty".into());
    }
    if conf.key_values.iter().any(|store| store.name == name) {
        return Err(format!("duplicate store \"{name}\"").into());
    }
    let (mut server, mut user, mut password, mut database) = (None, None, None, None);
    for argument in arguments {
        let text = String::from_utf8_lossy(argument);
        let at = argument.iter().position(|b| *b == b'=');
        let at = at.ok_or_else(|| format!("invalid parameter \"{text}\""))?;
        let (key, value) = (&argument[..at], &argument[at + 1..]);
        let place = match key {
            b"redis" => &mut server,
            b"user" => &mut user,
            b"password" => &mut password,
            b"database" => &mut database,
            _ => return Err(format!("invalid parameter \"{text}\"").into()),
        };
        if value.is_empty() {
            return Err(format!("invalid parameter \"{text}\"").into());
        }
        if place.replace(value.to_vec()).is_some() {
            let key = String::from_utf8_lossy(key);
            return Err(format!("duplicate parameter \"{key}\"").into());
        }
    }
    let mut server = server.ok_or("\"wasm_key_value\" must have \"redis\" parameter")?;
    if server.contains(&b'?') {
        return Err("invalid redis=: the database is for database=".into());
    }
    if user.is_some() && password.is_none() {
        return Err("user= needs password=".into());
    }
    if let Some(database) = database {
        let digits = !database.is_empty() && database.iter().all(u8::is_ascii_digit);
        if !digits || database.len() > 9 {
            let text = String::from_utf8_lossy(&database);
            return Err(format!("invalid database \"{text}\"").into());
        }
        server.extend_from_slice(b"?db=");
        server.extend_from_slice(&database);
    }
    conf.key_values.push(KeyValueStore {
        name: name.to_owned(),
        server,
        user: user.unwrap_or_default(),
        password: password.unwrap_or_default(),
    });
    Ok(())
}
