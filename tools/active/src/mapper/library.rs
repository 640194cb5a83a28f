// SPDX-License-Identifier: GPL-2.0

//! Requests by the `devicemapper` crate, which waits for udev.

use super::{
    Access,
    Info,
    Reply,
    Requests,
    Suspend, //
};
use crate::table::Line;
use anyhow::{
    Context,
    Result, //
};
use devicemapper::{
    DevId,
    DmFlags,
    DmName,
    DmOptions,
    DmUdevFlags,
    DmUuid,
    DM, //
};
use rustix::event::{
    poll,
    PollFd,
    PollFlags,
    Timespec, //
};
use std::time::Duration;

/// The crate's device-mapper.
pub(super) struct Library(DM);

impl Library {
    pub(super) fn new() -> Result<Self> {
        let opened = DM::new().context("device-mapper cannot be reached");
        opened.map(Self)
    }

    fn lines(&self, name: &str, options: DmOptions) -> Result<Vec<Line>> {
        let (_, lines) = self.0.table_status(&id(name)?, options)?;
        Ok(lines
            .into_iter()
            .map(|(start, sectors, kind, words)| Line {
                start,
                sectors,
                kind,
                words,
            })
            .collect())
    }
}

impl Requests for Library {
    fn arm_poll(&self) -> Result<()> {
        self.0.arm_poll().context("waiting for events")?;
        Ok(())
    }

    fn wait(&self, most: Option<Duration>) -> Result<()> {
        let most = most.map(|most| Timespec::try_from(most).context("a time that is too long"));
        let mut waits = [PollFd::new(self.0.file(), PollFlags::IN)];
        match poll(&mut waits, most.transpose()?.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error).context("waiting for events"),
        }
    }

    fn names(&self) -> Result<Vec<String>> {
        let devices = self.0.list_devices()?;
        Ok(devices
            .into_iter()
            .map(|(name, ..)| name.to_string())
            .collect())
    }

    fn create(&self, name: &str, uuid: Option<&str>, access: Access) -> Result<()> {
        let uuid = uuid.map(DmUuid::new).transpose()?;
        self.0.device_create(named(name)?, uuid, options(access))?;
        Ok(())
    }

    fn set_uuid(&self, name: &str, uuid: &str) -> Result<()> {
        let uuid = DevId::Uuid(DmUuid::new(uuid)?);
        self.0.device_rename(named(name)?, &uuid)?;
        Ok(())
    }

    fn load(&self, name: &str, table: &[Line], access: Access) -> Result<()> {
        let lines: Vec<_> = table
            .iter()
            .map(|line| {
                let (kind, words) = (line.kind.clone(), line.words.clone());
                (line.start, line.sectors, kind, words)
            })
            .collect();
        self.0.table_load(&id(name)?, &lines, options(access))?;
        Ok(())
    }

    fn clear(&self, name: &str) -> Result<()> {
        self.0.table_clear(&id(name)?)?;
        Ok(())
    }

    fn suspend(&self, name: &str, suspend: Suspend) -> Result<()> {
        let mut flags = DmFlags::DM_SUSPEND;
        flags |= match suspend {
            Suspend::NoLockfs => DmFlags::DM_SKIP_LOCKFS,
            Suspend::NoFlush => DmFlags::DM_NOFLUSH | DmFlags::DM_SKIP_LOCKFS,
        };
        let options = options(Access::Write).set_flags(flags);
        self.0.device_suspend(&id(name)?, options)?;
        Ok(())
    }

    fn resume(&self, name: &str) -> Result<()> {
        self.0.device_suspend(&id(name)?, options(Access::Write))?;
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<()> {
        self.0.device_remove(&id(name)?, options(Access::Write))?;
        Ok(())
    }

    fn info(&self, name: &str) -> Result<Info> {
        let info = self.0.device_info(&id(name)?)?;
        let device = info.device();
        Ok(Info {
            uuid: info.uuid().map(ToString::to_string).unwrap_or_default(),
            open: u32::try_from(info.open_count()).unwrap_or(0),
            events: info.event_nr(),
            is_suspended: info.flags().contains(DmFlags::DM_SUSPEND),
            is_read_only: info.flags().contains(DmFlags::DM_READONLY),
            number: (device.major, device.minor),
        })
    }

    fn status(&self, name: &str) -> Result<Vec<Line>> {
        self.lines(name, DmOptions::default())
    }

    fn table(&self, name: &str) -> Result<Vec<Line>> {
        self.lines(
            name,
            DmOptions::default().set_flags(DmFlags::DM_STATUS_TABLE),
        )
    }

    fn message(&self, name: &str, sector: u64, text: &str) -> Result<Reply> {
        Ok(match self.0.target_msg(&id(name)?, Some(sector), text) {
            Ok((_, answer)) => Reply::Answered(answer.unwrap_or_default()),
            Err(error) => Reply::Refused(error.into()),
        })
    }
}

fn named(name: &str) -> Result<&DmName> {
    DmName::new(name).with_context(|| format!("'{name}' is no name for a mapped device"))
}

fn id(name: &str) -> Result<DevId<'_>> {
    named(name).map(DevId::Name)
}

/// The options that leave nodes to udev.
fn options(access: Access) -> DmOptions {
    let options =
        DmOptions::default().set_udev_flags(DmUdevFlags::DM_UDEV_DISABLE_LIBRARY_FALLBACK);
    match access {
        Access::Write => options,
        Access::Read => options.set_flags(DmFlags::DM_READONLY),
    }
}
