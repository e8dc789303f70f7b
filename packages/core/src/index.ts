/**
 * @since 0.1.0
 */
export * as Interrupter from "./Interrupter.ts"

/**
 * @since 0.1.0
 */
export * as JobId from "./JobId.ts"

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
export * as Outcome from "./Outcome.ts"

/**
 * @since 0.1.0
 */
export * as OwnerLiveness from "./OwnerLiveness.ts"

/**
 * @since 0.1.0
 */
export * as Progress from "./Progress.ts"
