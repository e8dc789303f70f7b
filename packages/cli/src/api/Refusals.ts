/**
 * Says over HTTP why a store or a manager did not do what it was asked.
 */
import type { JobManagerError } from "@fanout/core/JobManagerError"
import type { JobStoreError } from "@fanout/core/JobStoreError"
import { printable } from "../ui/format.ts"
import * as Api from "./Api.ts"

/** Says that the store does not answer as it should. */
export const storeFailed = ({ message, reason }: JobStoreError): Api.StoreFailed =>
  new Api.StoreFailed({
    problem: reason._tag === "StorageFailure" ? reason.problem : "Other",
    message: printable(message)
  })

/** Tells apart that there is no such job, and that the store does not answer. */
export const notFoundOrFailed = (error: JobStoreError): Api.NotFound | Api.StoreFailed =>
  error.reason._tag === "JobNotFound" ? new Api.NotFound({ message: printable(error.message) }) : storeFailed(error)

/** Says why a change was not made. */
export const whyNot = (error: JobManagerError | JobStoreError): Api.NotFound | Api.Refused | Api.StoreFailed => {
  if (error._tag === "JobManagerError") return new Api.Refused({ message: printable(error.message) })
  const isInTheWay = error.reason._tag === "JobConflict" || error.reason._tag === "KeyTaken"
  return isInTheWay ? new Api.Refused({ message: printable(error.message) }) : notFoundOrFailed(error)
}
