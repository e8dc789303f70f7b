/**
 * What the API has to know of the program that serves it.
 */
import type { JobId } from "@fanout/core/JobId"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Api from "./Api.ts"
import type { Knowledge } from "./ApiRows.ts"

/** Service that describes the program which serves the API. */
export class ServerProgram extends Context.Service<ServerProgram, {
  readonly about: Api.About
  readonly knowledge: Knowledge
  /** Looks at the machine and at the database. */
  readonly examination: Effect.Effect<Api.Examination>
  /** Has what was asked of jobs carried out where no process is there that would. */
  readonly carryOut: (ids: ReadonlyArray<JobId>) => Effect.Effect<void>
}>()("@fanout/cli/api/ServerProgram") {}
