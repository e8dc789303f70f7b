/**
 * The definition of the jobs API. Server and clients share the definition. `GET /openapi.json` describes the API, too.
 */
import { JobId } from "@fanout/core/JobId"
import { JobManagerError } from "@fanout/core/JobManagerError"
import { JobNotFound } from "@fanout/core/JobStoreError"
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as Schema from "effect/Schema"

/** A text and its addresses. The same name twice is one job while the first job is not over. */
export const Message = Schema.Struct({
  name: Schema.NonEmptyString,
  text: Schema.String,
  urls: Schema.Array(Schema.String.check(Schema.isPattern(/^https?:/))).check(Schema.isMaxLength(10_000))
})

const Status = Schema.Struct({ id: JobId, state: Schema.String, sent: Schema.Natural, failed: Schema.Natural })
const Accepted = Status.pipe(HttpApiSchema.status(202))
const Events = HttpApiSchema.StreamSse({ data: Status })
const NotFound = JobNotFound.pipe(HttpApiSchema.status(404))
const params = { id: JobId }

class Messages extends HttpApiGroup.make("messages").add(
  HttpApiEndpoint.post("start", "/", { payload: Message, success: Accepted }),
  HttpApiEndpoint.get("status", "/:id", { params, success: Status, error: NotFound }),
  // The recorded progress, until the job is over. A client that returns gets the present status first.
  HttpApiEndpoint.get("progress", "/:id/progress", { params, success: Events, error: NotFound }),
  HttpApiEndpoint.post("ask", "/:id/:action", {
    params: { ...params, action: Schema.Literals(["pause", "resume", "cancel", "retry"]) },
    success: Accepted,
    error: [NotFound, JobManagerError.pipe(HttpApiSchema.status(409))]
  })
).prefix("/messages") {}

export class Api extends HttpApi.make("jobs-api").add(Messages) {}
