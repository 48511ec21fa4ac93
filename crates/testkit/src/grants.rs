//! Grants rights on a broker with an authorizer. The client crate has no call for this, so it calls
//! librdkafka directly; an error fails the test.

#![allow(
    unsafe_code,
    reason = "the client has no call that creates access rules, and no test may use the relay's own"
)]

use std::ffi::{CStr, CString, c_char};

use anyhow::{Context, bail, ensure};
use rdkafka::bindings as native;
use rdkafka::bindings::rd_kafka_AclOperation_t as AclOperation;
use rdkafka::bindings::rd_kafka_ResourceType_t as ResourceType;

use crate::kafka::KafkaBroker;
use crate::or_fail;

/// An operation that a principal may perform on a named resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub principal: String,
    pub operation: Operation,
    pub resource: Resource,
    pub name: String,
    /// Whether the name is a prefix.
    pub prefix: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Read,
    Write,
    Describe,
    DescribeConfigs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    Topic,
    Group,
    TransactionalId,
    Cluster,
}

impl KafkaBroker {
    /// Creates the grants. The controller has them when this returns; the broker has them soon
    /// after.
    #[track_caller]
    pub fn grant(&self, grants: &[Grant]) {
        or_fail(self.try_grant(grants), format_args!("grant rights"));
    }

    fn try_grant(&self, grants: &[Grant]) -> anyhow::Result<()> {
        let mut bindings = grants.iter().map(binding).collect::<Result<Vec<_>, _>>()?;
        let client = self.admin.inner().native_ptr();
        // SAFETY: all objects are made here, used while they live, and destroyed once.
        unsafe {
            let queue = native::rd_kafka_queue_new(client);
            native::rd_kafka_CreateAcls(
                client,
                bindings.as_mut_ptr(),
                bindings.len(),
                std::ptr::null(),
                queue,
            );
            let event = native::rd_kafka_queue_poll(queue, 60_000);
            let outcome = outcome(event);
            native::rd_kafka_event_destroy(event);
            native::rd_kafka_queue_destroy(queue);
            native::rd_kafka_AclBinding_destroy_array(bindings.as_mut_ptr(), bindings.len());
            outcome
        }
    }
}

fn binding(grant: &Grant) -> anyhow::Result<*mut native::rd_kafka_AclBinding_t> {
    use native::rd_kafka_AclPermissionType_t::RD_KAFKA_ACL_PERMISSION_TYPE_ALLOW;
    use native::rd_kafka_ResourcePatternType_t::{
        RD_KAFKA_RESOURCE_PATTERN_LITERAL, RD_KAFKA_RESOURCE_PATTERN_PREFIXED,
    };
    let (name, principal) =
        (CString::new(grant.name.as_str())?, CString::new(format!("User:{}", grant.principal))?);
    let mut error: [c_char; 256] = [0; 256];
    // SAFETY: the strings outlive the call, which copies them; the buffer has the given length.
    let binding = unsafe {
        native::rd_kafka_AclBinding_new(
            match grant.resource {
                Resource::Topic => ResourceType::RD_KAFKA_RESOURCE_TOPIC,
                Resource::Group => ResourceType::RD_KAFKA_RESOURCE_GROUP,
                Resource::TransactionalId => ResourceType::RD_KAFKA_RESOURCE_TRANSACTIONAL_ID,
                Resource::Cluster => ResourceType::RD_KAFKA_RESOURCE_BROKER,
            },
            name.as_ptr(),
            match grant.prefix {
                false => RD_KAFKA_RESOURCE_PATTERN_LITERAL,
                true => RD_KAFKA_RESOURCE_PATTERN_PREFIXED,
            },
            principal.as_ptr(),
            c"*".as_ptr(),
            match grant.operation {
                Operation::Read => AclOperation::RD_KAFKA_ACL_OPERATION_READ,
                Operation::Write => AclOperation::RD_KAFKA_ACL_OPERATION_WRITE,
                Operation::Describe => AclOperation::RD_KAFKA_ACL_OPERATION_DESCRIBE,
                Operation::DescribeConfigs => AclOperation::RD_KAFKA_ACL_OPERATION_DESCRIBE_CONFIGS,
            },
            RD_KAFKA_ACL_PERMISSION_TYPE_ALLOW,
            error.as_mut_ptr(),
            error.len(),
        )
    };
    ensure!(!binding.is_null(), "{grant:?}: {:?}", error);
    Ok(binding)
}

/// # Safety
/// `event` must be null or the result of creating ACLs.
unsafe fn outcome(event: *mut native::rd_kafka_event_t) -> anyhow::Result<()> {
    // SAFETY: guaranteed by the caller; everything read belongs to the event.
    unsafe {
        let result = native::rd_kafka_event_CreateAcls_result(event);
        if result.is_null() {
            bail!("no answer");
        }
        let mut count = 0;
        let results = native::rd_kafka_CreateAcls_result_acls(result, &mut count);
        ensure!(count > 0, "{:?}", CStr::from_ptr(native::rd_kafka_event_error_string(event)));
        for index in 0..count {
            let error = native::rd_kafka_acl_result_error(*results.add(index));
            if !error.is_null() {
                let text = CStr::from_ptr(native::rd_kafka_error_string(error));
                return Err(anyhow::anyhow!("{text:?}")).context("a grant");
            }
        }
    }
    Ok(())
}
