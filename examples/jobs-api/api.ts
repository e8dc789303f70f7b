/**
 * What the jobs API offers: a definition that server and clients share. `GET /openapi.json` is made of it.
 */
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as Schema from "effect/Schema"

/** What is to be invoiced. The same month twice is one job while it is active. */
export const Request = Schema.Struct({
  month: Schema.String.check(Schema.isPattern(/^\d{4}-\d{2}$/)),
  customers: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1_000_000 }))
})

const Status = Schema.Struct({
  id: Schema.String,
  state: Schema.String,
  done: Schema.Natural,
  failed: Schema.Natural
})

export class NoSuchJob extends Schema.TaggedError<NoSuchJob>("jobs-api/NoSuchJob")("NoSuchJob", {
  id: Schema.String
}, { httpApiStatus: 404 }) {}

export class NotPossible extends Schema.TaggedError<NotPossible>("jobs-api/NotPossible")("NotPossible", {
  why: Schema.String
}, { httpApiStatus: 409 }) {}

const params = { id: Schema.String }

class Invoicings extends HttpApiGroup.make("invoicings")
  .add(
    HttpApiEndpoint.post("start", "/", { payload: Request, success: Status.pipe(HttpApiSchema.status(202)) }),
    HttpApiEndpoint.get("status", "/:id", { params, success: Status, error: NoSuchJob }),
    // What is recorded, as it happens, until the job is over. A client that comes back sees the present state first.
    HttpApiEndpoint.get("progress", "/:id/progress", {
      params,
      success: HttpApiSchema.StreamSse({ data: Status }),
      error: NoSuchJob
    }),
    HttpApiEndpoint.post("ask", "/:id/:action", {
      params: { ...params, action: Schema.Literals(["pause", "resume", "cancel", "retry"]) },
      success: Status.pipe(HttpApiSchema.status(202)),
      error: [NoSuchJob, NotPossible]
    })
  )
  .prefix("/invoicings")
{}

export class Api extends HttpApi.make("jobs-api").add(Invoicings) {}
