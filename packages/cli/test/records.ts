import * as JobId from "@fanout/core/JobId"
import type { JobState } from "@fanout/core/JobState"
import { JobRecord } from "@fanout/core/JobStore"
import * as Option from "effect/Option"

export const counters = { attempt: 1, tries: 0 }

/** A job in a state, with other fields if need be. */
export const record = (state: JobState, fields?: Partial<JobRecord>) =>
  new JobRecord({
    id: JobId.make("k1"),
    name: "copy",
    version: 1,
    payload: null,
    idempotencyKey: Option.none(),
    exclusiveKey: Option.none(),
    parent: Option.none(),
    scheduled: Option.none(),
    tags: [],
    priority: 0,
    limits: {},
    state,
    exit: Option.none(),
    request: Option.none(),
    lease: Option.none(),
    token: 0,
    ownersLost: 0,
    createdAt: 0,
    updatedAt: 0,
    availableAt: 0,
    finishedAt: Option.none(),
    revision: 1,
    ...fields
  })
