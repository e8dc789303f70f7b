/**
 * What `fanout delete` needs of the jobs, in one module that is loaded only by it.
 */
export * as Delete from "@fanout/ops/Delete"
export * as DeletePreview from "@fanout/ops/DeletePreview"
export * as SystemFiles from "@fanout/ops/SystemFiles"
