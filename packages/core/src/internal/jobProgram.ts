/**
 * The program of a job. The job's layer supplies the program, and the job manager looks the program up.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Handler, Saved } from "../Job.ts"
import type { JobContext } from "../JobContext.ts"
import type { JobId } from "../JobId.ts"
import type { TaskDispatcher } from "../TaskDispatcher.ts"

/** The program of a job. Only the services of the runtime are still missing. */
export interface Program {
  readonly run: (payload: unknown) => Effect.Effect<unknown, unknown, TaskDispatcher | JobContext | Scope.Scope>
  readonly onCancel: (payload: unknown, id: JobId, saved: Saved) => Effect.Effect<void>
}

/** The key of a job's program in a context. */
export const programKey = <Name extends string>(name: Name): Context.Key<Handler<Name>, Program> =>
  Context.Service<Handler<Name>, Program>(`@fanout/core/Job/${name}`)
