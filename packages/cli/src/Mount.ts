/**
 * The page of jobs and its API for an application of one's own.
 *
 * ```ts
 * import * as Ui from "@fanout/cli/ui"
 *
 * HttpRouter.serve(Layer.mergeAll(OwnRoutes, Ui.layer())).pipe(Layer.provide([Runtime, Server]))
 * ```
 *
 * The page is at `/`, the API below `/api`. Both ask nobody who they are: who reaches them sees and controls all jobs.
 */
import type { JobManager } from "@fanout/core/JobManager"
import type { JobRecord } from "@fanout/core/JobStore"
import * as Effect from "effect/Effect"
import type { FileSystem } from "effect/FileSystem"
import type { Generator } from "effect/http/Etag"
import type { HttpPlatform } from "effect/http/HttpPlatform"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import type { Path } from "effect/Path"
import { nothingElse } from "./api/ApiRows.ts"
import * as Handlers from "./api/Handlers.ts"
import * as Page from "./api/Page.ts"
import { ServerProgram } from "./api/ServerProgram.ts"
import { page, version } from "./Package.ts"

/** How to show the jobs of an application. */
export interface Options {
  /** Where page and API are, such as `/admin/jobs`: the address of the page is then `/admin/jobs/`. */
  readonly prefix?: `/${string}`
  /** What the page calls the database. */
  readonly database?: string
  /** Whether jobs are only shown, and nothing can be asked of them. */
  readonly isReadOnly?: boolean
  /** A job in a few words; by default its name. */
  readonly title?: (record: JobRecord) => string
}

/** Layer that adds the page of jobs and its API to the router. */
export const layer = (
  { database = "", isReadOnly = false, prefix, title = nothingElse.title }: Options = {}
): Layer.Layer<never, never, HttpRouter.HttpRouter | JobManager | Generator | FileSystem | HttpPlatform | Path> => {
  const host = Layer.sync(ServerProgram, () => ({
    about: { version, database, isReadOnly, works: true, note: "" },
    knowledge: { ...nothingElse, title },
    examination: Effect.succeed({ checks: [], pools: [] }),
    carryOut: () => Effect.void
  }))
  const routes = Layer.mergeAll(Handlers.layer, Page.layer(page)).pipe(Layer.provide(host))
  return prefix === undefined ? routes : Layer.provide(
    routes,
    Layer.effect(HttpRouter.HttpRouter, Effect.map(HttpRouter.HttpRouter, (router) => router.prefixed(prefix)))
  )
}
