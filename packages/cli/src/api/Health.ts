/**
 * Says whether the server works: for whoever starts it anew if it does not.
 */
import { JobManager } from "@fanout/core/JobManager"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as Layer from "effect/Layer"
import * as Page from "./Page.ts"

/** Whoever is on this machine may ask, without a token. */
export const path = "/healthz"

/** A store that takes longer is out of order. */
const patience = "5 seconds"

const answer = (status: 200 | 503) =>
  HttpServerResponse.text(status === 200 ? "ok\n" : "The database does not answer.\n", {
    status,
    headers: Page.headers
  })

/** Layer that answers 200 while the store of the jobs answers, and 503 otherwise. */
export const layer: Layer.Layer<never, never, HttpRouter.HttpRouter | JobManager> = HttpRouter.use((router) =>
  Effect.flatMap(JobManager, ({ version }) =>
    router.add(
      "GET",
      path,
      Effect.timeout(version, patience).pipe(
        Effect.match({ onFailure: () => answer(503), onSuccess: () => answer(200) })
      )
    ))
)
