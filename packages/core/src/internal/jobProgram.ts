/**
 * The program of a job, as its layer supplies it and the manager finds it.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Handler, Saved } from "../Job.ts"
import type { JobContext } from "../JobContext.ts"
import type { JobId } from "../JobId.ts"
import type { TaskDispatcher } from "../TaskDispatcher.ts"

/** Program of a job with everything but what the runtime supplies provided. */
export interface Program {
  readonly run: (payload: unknown) => Effect.Effect<unknown, unknown, TaskDispatcher | JobContext | Scope.Scope>
  readonly onCancel: (payload: unknown, id: JobId, saved: Saved) => Effect.Effect<void>
}

/** Key under which a layer supplies the program of a job. */
export const programKey = <Name extends string>(name: Name): Context.Key<Handler<Name>, Program> =>
  Context.Service<Handler<Name>, Program>(`@fanout/core/Job/${name}`)
