"""BlazingText, SageMaker's blazingtext: what the platform needs to know of it."""

from tidemill.algorithms.blazingtext.declaration import DECLARATION as DECLARATION
