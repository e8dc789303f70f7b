/**
 * @since 0.1.0
 */
export * as Checkpoint from "./Checkpoint.ts"

/**
 * @since 0.1.0
 */
export * as ChildJobs from "./ChildJobs.ts"

/**
 * @since 0.1.0
 */
export * as FanOut from "./FanOut.ts"

/**
 * @since 0.1.0
 */
export * as Frontier from "./Frontier.ts"

/**
 * @since 0.1.0
 */
export * as Interrupter from "./Interrupter.ts"

/**
 * @since 0.1.0
 */
export * as Job from "./Job.ts"

/**
 * @since 0.1.0
 */
export * as JobContext from "./JobContext.ts"

/**
 * @since 0.1.0
 */
export * as JobHandle from "./JobHandle.ts"

/**
 * @since 0.1.0
 */
export * as JobId from "./JobId.ts"

/**
 * @since 0.1.0
 */
export * as JobManager from "./JobManager.ts"

/**
 * @since 0.1.0
 */
export * as JobManagerError from "./JobManagerError.ts"

/**
 * @since 0.1.0
 */
export * as JobPriority from "./JobPriority.ts"

/**
 * @since 0.1.0
 */
export * as JobRecord from "./JobRecord.ts"

/**
 * @since 0.1.0
 */
export * as JobSchedule from "./JobSchedule.ts"

/**
 * @since 0.1.0
 */
export * as JobState from "./JobState.ts"

/**
 * @since 0.1.0
 */
export * as JobStore from "./JobStore.ts"

/**
 * @since 0.1.0
 */
export * as JobStoreError from "./JobStoreError.ts"

/**
 * @since 0.1.0
 */
export * as Lease from "./Lease.ts"

/**
 * @since 0.1.0
 */
export * as LimitedTaskDispatcher from "./LimitedTaskDispatcher.ts"

/**
 * @since 0.1.0
 */
export * as MemoryJobStore from "./MemoryJobStore.ts"

/**
 * @since 0.1.0
 */
export * as Outcome from "./Outcome.ts"

/**
 * @since 0.1.0
 */
export * as OwnerLiveness from "./OwnerLiveness.ts"

/**
 * @since 0.1.0
 */
export * as Pools from "./Pools.ts"

/**
 * @since 0.1.0
 */
export * as Pressure from "./Pressure.ts"

/**
 * @since 0.1.0
 */
export * as Progress from "./Progress.ts"

/**
 * @since 0.1.0
 */
export * as SqlJobStore from "./SqlJobStore.ts"

/**
 * @since 0.1.0
 */
export * as Task from "./Task.ts"

/**
 * @since 0.1.0
 */
export * as TaskCheckpoint from "./TaskCheckpoint.ts"

/**
 * @since 0.1.0
 */
export * as TaskDispatcher from "./TaskDispatcher.ts"

/**
 * @since 0.1.0
 */
export * as TaskHandle from "./TaskHandle.ts"

/**
 * @since 0.1.0
 */
export * as ThreadsUnavailable from "./ThreadsUnavailable.ts"
