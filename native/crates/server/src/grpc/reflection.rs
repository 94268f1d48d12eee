//! Server reflection, so that grpcurl and its like need no protos. v1 and v1alpha have the same messages.

use super::call::{Body, End, Messages, Reply};
use crate::shared::{Local, shutting_down};
use bytes::Bytes;
use infermesh_wire::{
    Code, DESCRIPTORS, Error,
    framing::frame,
    proto::reflection::{
        ErrorResponse, FileDescriptorResponse, ListServiceResponse, ServerReflectionRequest,
        ServerReflectionResponse, ServiceResponse, server_reflection_request::MessageRequest,
        server_reflection_response::MessageResponse,
    },
    reader::malformed,
};
use prost::Message;
use prost_types::{DescriptorProto, FileDescriptorProto, FileDescriptorSet};
use std::{collections::HashMap, pin::pin, rc::Rc};

/// The served protos, by file name and by symbol.
pub struct Index {
    files: HashMap<String, (Bytes, Vec<String>)>,
    symbols: HashMap<String, String>,
    services: Vec<String>,
}

impl Index {
    /// Fails only if the build embedded something that is no descriptor set.
    pub fn new() -> Result<Self, Error> {
        let set =
            FileDescriptorSet::decode(DESCRIPTORS).map_err(|error| Error::internal(error.to_string()))?;
        let mut index = Self { files: HashMap::new(), symbols: HashMap::new(), services: Vec::new() };
        for file in set.file {
            index.add(&file);
        }
        index.services.sort();
        Ok(index)
    }

    fn add(&mut self, file: &FileDescriptorProto) {
        let (name, package) = (file.name().to_owned(), file.package());
        for message in &file.message_type {
            self.add_message(&name, package, message);
        }
        for enumeration in &file.enum_type {
            self.symbols.insert(format!("{package}.{}", enumeration.name()), name.clone());
        }
        for service in &file.service {
            let full = format!("{package}.{}", service.name());
            for method in &service.method {
                self.symbols.insert(format!("{full}.{}", method.name()), name.clone());
            }
            self.symbols.insert(full.clone(), name.clone());
            self.services.push(full);
        }
        self.files.insert(name, (file.encode_to_vec().into(), file.dependency.clone()));
    }

    fn add_message(&mut self, file: &str, scope: &str, message: &DescriptorProto) {
        let full = format!("{scope}.{}", message.name());
        for nested in &message.nested_type {
            self.add_message(file, &full, nested);
        }
        for enumeration in &message.enum_type {
            self.symbols.insert(format!("{full}.{}", enumeration.name()), file.to_owned());
        }
        self.symbols.insert(full, file.to_owned());
    }

    fn answer(&self, request: &MessageRequest) -> MessageResponse {
        let unknown = |what: &str| error(Code::NotFound, format!("{what} is not known to this server"));
        match request {
            MessageRequest::ListServices(_) => {
                let service =
                    self.services.iter().map(|name| ServiceResponse { name: name.clone() }).collect();
                MessageResponse::ListServicesResponse(ListServiceResponse { service })
            }
            MessageRequest::FileByFilename(file) => self.file(file).unwrap_or_else(|| unknown(file)),
            MessageRequest::FileContainingSymbol(symbol) => {
                self.symbols.get(symbol).and_then(|file| self.file(file)).unwrap_or_else(|| unknown(symbol))
            }
            MessageRequest::FileContainingExtension(extension) => unknown(&extension.containing_type),
            MessageRequest::AllExtensionNumbersOfType(name) => unknown(name),
        }
    }

    /// A file with everything it imports.
    fn file(&self, name: &str) -> Option<MessageResponse> {
        let mut wanted = vec![name];
        let mut next = 0;
        let mut found = Vec::new();
        while let Some(name) = wanted.get(next) {
            let (bytes, imports) = self.files.get(*name)?;
            found.push(bytes.clone());
            for import in imports {
                if !wanted.contains(&import.as_str()) {
                    wanted.push(import);
                }
            }
            next += 1;
        }
        Some(MessageResponse::FileDescriptorResponse(FileDescriptorResponse { file_descriptor_proto: found }))
    }
}

fn error(code: Code, message: String) -> MessageResponse {
    MessageResponse::ErrorResponse(ErrorResponse { error_code: code as i32, error_message: message })
}

/// Answers one question after the other until the client has no more.
pub async fn serve(local: Rc<Local>, mut messages: Messages, mut reply: Reply) {
    let mut draining = local.shared.connections.draining();
    let outcome = loop {
        let question = reply
            .guard(pin!(async {
                tokio::select! {
                    message = messages.next() => message,
                    _ = draining.wait_for(|draining| *draining) => Err(shutting_down("GRPC")),
                }
            }))
            .await;
        let message = match question {
            End::Gone => return,
            End::Done(Ok(Some(message))) => message,
            End::Done(Ok(None)) => break Ok(()),
            End::Done(Err(error)) => break Err(error),
        };
        let request = match ServerReflectionRequest::decode(message) {
            Ok(request) => request,
            Err(error) => break Err(malformed(&error.to_string())),
        };
        let answer = match &request.message_request {
            Some(question) => local.shared.reflection.answer(question),
            None => error(Code::InvalidArgument, "the request asks nothing".to_owned()),
        };
        let response = ServerReflectionResponse {
            valid_host: request.host.clone(),
            message_response: Some(answer),
            original_request: Some(request),
        };
        if !reply.send_when_read(Body::from(frame(&response))).await {
            return;
        }
    };
    reply.close(outcome);
}
